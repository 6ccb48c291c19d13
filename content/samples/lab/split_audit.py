"""Parts the machine's one audit log into those of the lab's servers; standard input to FOLDER/<host>-audit.log.

The kernel audits all namespaces as one host. Each event goes to the server whose account it carries, with the node name that
auditd writes on a host of its own: web01's is set to `name_format = numeric`, app02's to `hostname`. Events of no account or
address of the lab are left out.
"""
import pathlib
import re
import sys

LAB = re.compile(r"\b(auid=5\d{3}|uid=33)\b|addr=(10\.20|203\.0\.113|198\.51\.100)\.")
WEB01 = re.compile(r'\b(auid=5001|uid=33)\b|acct="deploy"')
NODES = {"web01": "10.20.1.10", "app02": "app02"}


def main() -> None:
    serials: dict[str, list[str]] = {}
    for line in sys.stdin:
        serial = re.search(r"msg=audit\(([^)]+)\)", line)
        if serial:
            serials.setdefault(serial[1], []).append(line)
    parts: dict[str, list[str]] = {host: [] for host in NODES}
    for lines in serials.values():
        if any(LAB.search(line) for line in lines):
            host = "web01" if any(WEB01.search(line) for line in lines) else "app02"
            parts[host] += [f"node={NODES[host]} {line}" for line in lines]
    for host, lines in parts.items():
        (pathlib.Path(sys.argv[1]) / f"{host}-audit.log").write_text("".join(lines), encoding="utf-8")


main()
