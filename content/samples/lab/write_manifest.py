"""Writes manifest.yaml: for each recorded file its source, format, number of lines, first and last time."""
import datetime as dt
import pathlib
import re
import subprocess
import sys

# file, source name, format, what the file is
FILES = [
    ("web01-access.log", "web01-nginx", "access-log"),
    ("web01-error.log", "web01-nginx-error", "syslog"),
    ("web01-modsec.json.zst", "web01-modsecurity", "modsecurity"),
    ("web01-auth.log", "web01-auth", "syslog"),
    ("app02-auth.log", "app02-auth", "syslog"),
    ("web01-audit.log.zst", "web01-auditd", "auditd"),
    ("app02-audit.log.zst", "app02-auditd", "auditd"),
    ("gw-eve.json.zst", "gateway-suricata", "suricata-eve"),
]
ZONE = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
# How each format writes its time; those without a zone are in the lab's.
TIMES = [
    (re.compile(r"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"), "%d/%b/%Y:%H:%M:%S %z"),
    (re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[+-]\d\d:?\d\d)"), "%Y-%m-%dT%H:%M:%S.%f%z"),
    (re.compile(r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)"), "%Y/%m/%d %H:%M:%S"),
    (re.compile(r'"time_stamp":"(\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4})"'), "%a %b %d %H:%M:%S %Y"),
]
AUDIT = re.compile(r"msg=audit\((\d+\.\d+):")


def time_of(line: str) -> dt.datetime | None:
    if found := AUDIT.search(line):
        return dt.datetime.fromtimestamp(float(found[1]), ZONE)
    for pattern, form in TIMES:
        if found := pattern.search(line):
            time = dt.datetime.strptime(found[1], form)
            return time if time.tzinfo else time.replace(tzinfo=ZONE)
    return None


def lines_of(path: pathlib.Path) -> list[str]:
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout.decode("utf-8", "replace").splitlines()
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    entries = []
    ends = []
    for name, source, form in FILES:
        path = folder / name
        if not path.exists():
            continue
        lines = lines_of(path)
        times = sorted(time for line in lines if (time := time_of(line)))
        entries.append(f"  - file: {name}\n    source: {source}\n    format: {form}\n    lines: {len(lines)}")
        if times:
            ends.append(times[-1])
            entries.append(f"    first: {times[0].isoformat()}\n    last: {times[-1].isoformat()}")
    print("# Written by record.sh. Times are those of the recording; `zone` is for files whose times carry none.")
    print(f"recorded_until: {max(ends).isoformat()}")
    print('zone: "+08:00"')
    print("files:")
    print("\n".join(entries))


main()
