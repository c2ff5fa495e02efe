"""Captures (pcap, pcapng) to flows through NFStream, which runs in processes of its own.

`container` knows the file formats and nothing about flows, `worker` is the child process and the
only module that imports NFStream, `process` starts, feeds and buries such children, `reader` is the
flow reader. Payloads are never written anywhere; text that traffic chose is data and is escaped
where shown.
"""
