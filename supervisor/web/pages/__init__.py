"""The pages: what is shown of the monitor and of the lists, as HTML.

Everything that came with a job (kinds, users, errors, what a child wrote) is a stranger's text. It goes through templates
that escape, never into a string of HTML by hand, and links to artifacts only through /api/jobs/{id}/artifact.
"""
