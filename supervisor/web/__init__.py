"""HTTP: health, metrics, jobs and the dashboard, served by the supervisor's own loop.

Theory of operation. One socket, one server (uvicorn) as tasks of the loop that claims and dispatches. Nothing here may hold
that loop up: what is asked of the supervisor itself is read from memory; what is asked of the database goes over the
desk, a connection of its own, one question at a time and each with a time limit; files are sent in pieces. Whoever asks too
much at once is turned away with 503.

Who may ask: on loopback anybody on this machine reads, and writes (redrive, cancel) need HTTP_TOKEN. On any other address
everything but health and metrics needs it. A page of another site cannot ask for what a visitor's browser reaches: the
Host header must be one of ours, writes need a header that no form sends, and artifacts are served as strangers' files.
"""
