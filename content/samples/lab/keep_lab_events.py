"""Keeps the audit events that carry an account or address of the lab; standard input to standard output."""
import re
import sys

LAB = re.compile(r"\b(auid=5\d{3}|uid=33)\b|addr=(10\.20|203\.0\.113|198\.51\.100)\.")


def main() -> None:
    serials: dict[str, list[str]] = {}
    for line in sys.stdin:
        serial = re.search(r"msg=audit\(([^)]+)\)", line)
        if serial:
            serials.setdefault(serial[1], []).append(line)
    for lines in serials.values():
        if any(LAB.search(line) for line in lines):
            sys.stdout.writelines(lines)


main()
