#!/bin/bash
# Boots systemd as the first process of namespaces of its own, over an overlay of this machine's root that is thrown away.
# Usage: boot.sh DIRECTORY CHECKOUT PYTHON_PREFIX SITE_PACKAGES NOTIFY_SOCKET, in the namespaces that machine.py makes.
#
# Never on the real root: systemd's start-up empties /tmp and rewrites much besides. Here it finds its own /tmp, /run and
# /var, and of the machine it sees read-only what it needs, at places that the unit's sandbox leaves visible.
set -euo pipefail
directory=$1 checkout=$2 prefix=$3 packages=$4 notify=$5
root=$directory/layers/root

mount --make-rprivate /
mkdir -p "$directory/layers"
mount -t tmpfs -o mode=755 tmpfs "$directory/layers"
mkdir -p "$directory"/layers/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$directory/layers/upper,workdir=$directory/layers/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mkdir -p "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
for place in run tmp var/tmp var/log; do mount -t tmpfs -o mode=755 tmpfs "$root/$place"; done
chmod 1777 "$root/tmp" "$root/var/tmp"

show() { mkdir -p "$root/$2"; mount --bind "$1" "$root/$2"; mount -o remount,bind,ro "$root/$2"; }
mkdir -p "$root/opt"
mount -t tmpfs -o mode=755 tmpfs "$root/opt"
show "$checkout" opt/checkout
show "$prefix" opt/python
show "$packages" opt/packages/site-packages
mkdir "$root/opt/gates"
# Python's own libraries where it was moved to, in front of the system's.
echo /opt/python/lib >"$root/etc/ld.so.conf.d/00-python.conf"

# Units of the machine that this runs on are none of ours, and what would set up the kernel, which is its kernel too, stays
# away. A machine id, since journald wants one.
rm -rf "$root"/etc/systemd/system/*
for unit in systemd-sysctl systemd-binfmt systemd-modules-load systemd-udevd systemd-udev-trigger systemd-random-seed \
    systemd-hwdb-update systemd-remount-fs; do
    ln -s /dev/null "$root/etc/systemd/system/$unit.service"
done
# (No part of /proc is made read-only: the kernel then lets a child have none of its own, as in some containers.)
ln -s /dev/null "$root/etc/systemd/system/proc-sys-fs-binfmt_misc.automount"
echo 5f0bb1b1b4f34a2c9d7a4a1c1e0f6a11 >"$root/etc/machine-id"

cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
# As systemd does itself where it is no container; without, a service does not see its credentials.
mount --make-rshared /
exec env -i container=other "NOTIFY_SOCKET=$notify" PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target --log-target=journal --show-status=no
