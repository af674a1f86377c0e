-- Records a migration as applied.
insert into jobsupervisor.migration (version, name, checksum, public_schema)
values (%(version)s, %(name)s, %(checksum)s, %(public_schema)s)
