"""A network of hosts on one machine, and a script of what happens in it, for captures with truth.

    python -m tests.lab --to DIR --minutes 10 --seed 0

makes network namespaces, starts real servers in them, lets clients and attackers follow a plan and
writes `capture.pcapng` and `events.toml`. It needs root and a few Debian packages
(`packages.txt`). The modules, in reading order: `hosts` (who there is), `plan` (who does what when,
from a seed; `habits`, `attacks`), `network` (namespaces and bridges), `services` (daemons),
`agent` (runs in each namespace; `clients`, `hostile`, `responders`), `capture` (tcpdump and
pcapng; `trim`), `truth` (the events), `scenario` (all of it, and its end), `sample` (packs a run
into netvigil-flowprep, and compares a run with what is packed; `sample_readme`).
"""
