"""The real servers of the lab: nginx, dnsmasq, chronyd, Redis, vsftpd and sshd, from Debian.

Each runs in its host's namespace as the lab's user, in the foreground, on files of the run's own
folder; low ports are open to everyone inside a namespace. What no package offers in small (SMTP,
Modbus, IPP, the tunnel's name server) is in `responders`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.lab.hosts import HOSTS, TUNNEL, address
from tests.lab.network import Network
from tests.lab.processes import UID, run, start, wait_for_port

PAGES = {
    "index.html": 1_100,
    "news.html": 3_000,
    "style.css": 700,
    "logo.png": 1_900,
    "report.pdf": 20_000,
    "api/items": 700,
    "private/index.html": 900,
    "done": 2,
}
"""The web pages and their sizes in bytes: small, for packets are what a capture costs."""

_NGINX = """\
daemon off; pid nginx.pid; error_log stderr; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off; server_tokens off; etag off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi; default_type text/html;
  server {{
    listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    ssl_session_tickets off; client_max_body_size 8m; root {folder}/pages;
    location /upload {{ error_page 405 =200 /done; client_max_body_size 8m; }}
    location /private {{ auth_basic "staff"; auth_basic_user_file {folder}/people; }}
  }}
}}
"""
_DNSMASQ = """\
keep-in-foreground
no-resolv
no-hosts
no-daemon
pid-file=
bind-interfaces
interface=eth0
except-interface=lo
local-ttl=8
"""
_CHRONY = """\
local stratum 8
allow all
cmdport 0
pidfile {folder}/chronyd.pid
driftfile {folder}/drift
"""
_SSHD = """\
Port 22
HostKey {folder}/host_key
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile {folder}/client_key.pub
PasswordAuthentication yes
KbdInteractiveAuthentication no
MaxStartups 60
PrintMotd no
"""
_VSFTPD = """\
listen=YES
background=NO
run_as_launching_user=YES
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_root={folder}/ftp
no_anon_password=YES
ftp_username=lab
anon_umask=022
seccomp_sandbox=NO
xferlog_enable=NO
"""


@dataclass(frozen=True)
class Service:
    """A daemon of one host: its command, and a port that says that it is ready."""

    host: str
    name: str
    command: tuple[str, ...]
    port: int
    udp: bool = False


def start_services(network: Network, folder: Path) -> list[subprocess.Popen[bytes]]:
    """Write all configurations into `folder`, start all services and wait until they listen."""
    _make_files(folder)
    started = []
    for service in _services(folder):
        log = folder / f"{service.host}-{service.name}.log"
        process = start(network.namespace(service.host), service.command, log=log)
        started.append((service, process, log))
    for service, process, log in started:
        wait_for_port(process, service.port, log, udp=service.udp)
    return [process for _, process, _ in started]


def _services(folder: Path) -> Iterator[Service]:
    for host in ("web", "site", "cloud", "share"):
        files = ("-p", str(folder / host), "-c", str(folder / "nginx.conf"))
        yield Service(host, "nginx", ("nginx", "-e", "stderr", *files), 443)
    for host in ("dns", "ns"):
        dnsmasq = ("dnsmasq", "-C", str(folder / f"dnsmasq-{host}.conf"))
        yield Service(host, "dnsmasq", dnsmasq, 53, udp=True)
    # -x: the machine's clock is only read; -U: no root is needed for that.
    chronyd = ("chronyd", "-x", "-U", "-d", "-u", "lab", "-f", str(folder / "chrony.conf"))
    yield Service("dns", "chronyd", chronyd, 123, udp=True)
    redis = ("redis-server", "--save", "", "--protected-mode", "no", "--dir", str(folder / "db"))
    yield Service("db", "redis", redis, 6379)
    yield Service("files", "vsftpd", ("vsftpd", str(folder / "vsftpd.conf")), 21)
    for host in ("web", "db", "files"):
        sshd = ("/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config"))
        yield Service(host, "sshd", sshd, 22)


def _make_files(folder: Path) -> None:
    """Write configurations, pages, keys and certificates; all belongs to the lab's user."""
    for name, text in (("nginx", _NGINX), ("chrony", _CHRONY), ("vsftpd", _VSFTPD)):
        (folder / f"{name}.conf").write_text(text.format(folder=folder), "ascii")
    (folder / "sshd_config").write_text(_SSHD.format(folder=folder), "ascii")
    (folder / "dnsmasq-dns.conf").write_text("\n".join(_resolver()) + "\n", "ascii")
    (folder / "dnsmasq-ns.conf").write_text("\n".join(_name_server()) + "\n", "ascii")
    for name in ("web", "site", "cloud", "share", "db"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    for name, size in PAGES.items():
        page = folder / "pages" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_bytes(rng.bytes(size))
    (folder / "ftp" / "in").mkdir(parents=True)
    (folder / "ftp" / "forms.zip").write_bytes(rng.bytes(5_000))
    (folder / "people").write_text("staff:{PLAIN}right\n", "ascii")
    subject = ("-x509", "-days", "30", "-subj", "/CN=lab.example", "-nodes")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    output = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    run(["openssl", "req", *subject, *curve, *output])
    for key in ("host_key", "client_key"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(folder / key)])
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, UID, UID)
    (folder / "ftp").chmod(0o555)  # vsftpd refuses a root folder that its user may write to


def _resolver() -> Iterator[str]:
    """The inside's DNS: its own names, the tunnel's domain at the attacker's, the rest outside."""
    yield _DNSMASQ
    yield from (f"address=/{h.name}.lab.example/{h.ip}" for h in HOSTS.values())
    yield from _names("web")
    yield f"server=/{TUNNEL}/{address('attacker')}"
    yield f"server={address('ns')}"
    yield "cache-size=150"


def _name_server() -> Iterator[str]:
    yield _DNSMASQ
    for name in ("site", "cloud", "share"):
        yield from _names(name)
    yield f"address=/updates.example/{address('cloud')}"
    yield "mx-host=partner.example,partner.example,10"
    yield f"address=/partner.example/{address('partner')}"
    yield "local=/#/"


def _names(name: str) -> Iterator[str]:
    yield f"address=/{name}.example/{address(name)}"
    if HOSTS[name].dual:
        yield f"address=/{name}.example/{HOSTS[name].ip6}"
