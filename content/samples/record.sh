#!/bin/bash
# Records the sample telemetry: real services, staff and attack tools in network namespaces on this machine, for about
# eight minutes. Needs Debian 12 and root; reaches no address outside the namespaces (but the package mirrors, to install
# the tools). Everything the lab changes lies in memory and is gone afterwards. See README.md.
set -euo pipefail

readonly HERE=$(cd "$(dirname "$0")" && pwd)
readonly LAB=${WANGLOU_LAB:-/run/wanglou-lab}
readonly SECONDS_OF_STAFF=${1:-420}
STARTED=""

# shellcheck source=lab/net.sh
. "$HERE/lab/net.sh"
# shellcheck source=lab/hosts.sh
. "$HERE/lab/hosts.sh"
# shellcheck source=lab/benign.sh
. "$HERE/lab/benign.sh"
# shellcheck source=lab/attacks.sh
. "$HERE/lab/attacks.sh"

main() {
    [ "$(id -u)" -eq 0 ] || { echo "record.sh needs root: it makes network namespaces" >&2; exit 64; }
    install_tools
    mkdir -p "$LAB"
    mount -t tmpfs -o size=512m,mode=755 wanglou-lab "$LAB"
    trap clean_up EXIT
    net_up
    host_up web01 web
    host_up app02 app
    host_up ns1 dns
    start_suricata
    start_audit
    play
    sleep 15 # flows time out and are written
    stop_sensors
    collect
}

install_tools() {
    local missing=""
    local tool
    for tool in nmap:nmap hydra:hydra gobuster:gobuster sqlmap:sqlmap wapiti:wapiti nginx:nginx sshpass:sshpass dig:dnsutils \
        dnsmasq:dnsmasq-base rsyslogd:rsyslog auditctl:auditd php-fpm8.2:php8.2-fpm php8.2:php8.2-cli ethtool:ethtool \
        sudo:sudo sshd:openssh-server zstd:zstd curl:curl crontab:cron; do
        PATH=$PATH:/usr/sbin command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
    done
    [ -e /usr/lib/nginx/modules/ngx_http_modsecurity_module.so ] || missing="$missing libnginx-mod-http-modsecurity"
    [ -e /usr/share/modsecurity-crs/rules ] || missing="$missing modsecurity-crs"
    php8.2 -m 2>/dev/null | grep -q pdo_sqlite || missing="$missing php8.2-sqlite3"
    # shellcheck disable=SC2086  # a list of words
    [ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
    if ! command -v suricata >/dev/null; then
        local list=/etc/apt/sources.list.d/wanglou-lab-backports.list
        # The mirror this machine already uses for bookworm also carries bookworm-backports.
        local mirror
        mirror=$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' | head -n 1)
        echo "deb ${mirror:?no mirror for bookworm is configured} bookworm-backports main" >"$list"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -t bookworm-backports suricata || true
        rm -f "$list"
    fi
}

start_suricata() {
    command -v suricata >/dev/null || { echo "no suricata here: eve.json is left out" >&2; return 0; }
    mkdir -p "$LAB/suricata"
    TZ=Asia/Shanghai in_ns gw suricata -c "$HERE/lab/suricata.yaml" -i srv0 -S "$HERE/lab/lab.rules" -l "$LAB/suricata" \
        >"$LAB/suricata.out" 2>&1 &
    SURICATA=$!
    STARTED="$STARTED $SURICATA"
    local waited=0
    until grep -qs 'Engine started' "$LAB/suricata.out" "$LAB/suricata/suricata.log" || [ "$waited" -ge 60 ]; do
        sleep 1
        waited=$((waited + 1))
    done
}

start_audit() {
    mkdir -p "$LAB/auditd"
    sed "s#@LAB@#$LAB#" "$HERE/lab/auditd.conf" >"$LAB/auditd/auditd.conf"
    chmod 750 "$LAB/auditd"
    chmod 640 "$LAB/auditd/auditd.conf"
    if auditd -n -c "$LAB/auditd" >"$LAB/auditd.out" 2>&1 & then
        AUDITD=$!
        STARTED="$STARTED $AUDITD"
    fi
    sleep 2
    auditctl -R "$HERE/lab/audit.rules" >/dev/null 2>&1 || echo "the kernel takes no audit rules: audit.log is left out" >&2
}

stop_sensors() {
    auditctl -D >/dev/null 2>&1 || true
    auditctl -e 0 >/dev/null 2>&1 || true
    [ -z "${SURICATA:-}" ] || { kill "$SURICATA" 2>/dev/null || true; wait "$SURICATA" 2>/dev/null || true; }
    [ -z "${AUDITD:-}" ] || { kill "$AUDITD" 2>/dev/null || true; wait "$AUDITD" 2>/dev/null || true; }
}

# Staff work all the time; the stories begin one after the other, the slow one runs beside them.
play() {
    local deadline=$(($(date +%s) + SECONDS_OF_STAFF)) staff=""
    mkdir -p "$LAB/www"
    echo 'echo lab' >"$LAB/www/i.sh"
    (cd "$LAB/www" && in_ns att python3 -m http.server 8000 --bind 203.0.113.66 >/dev/null 2>&1) &
    STARTED="$STARTED $!"
    staff_browse 10.20.9.21 zhangwei Zw@2026spring "$BROWSER" "$deadline" & staff="$staff $!"
    staff_browse 10.20.9.22 lina Lina@2026spring 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0' "$deadline" & staff="$staff $!"
    staff_browse 10.20.9.23 lina Lina@2026spring 'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Safari/605.1.15' "$deadline" & staff="$staff $!"
    staff_lookup 10.20.9.22 "$deadline" & staff="$staff $!"
    staff_lookup 10.20.9.24 "$deadline" & staff="$staff $!"
    staff_admin 10.20.9.21 "$deadline" & staff="$staff $!"
    story_slow "$deadline" & staff="$staff $!"
    sleep 20
    story_probes
    story_web &
    staff="$staff $!"
    story_tunnel
    story_ssh
    # shellcheck disable=SC2086  # a list of process ids
    wait $staff || true
}

collect() {
    local out=$HERE
    cp "$(host_file web01 /var/log/nginx/access.log)" "$out/web01-access.log"
    cp "$(host_file web01 /var/log/nginx/error.log)" "$out/web01-error.log"
    cp "$(host_file web01 /var/log/auth.log)" "$out/web01-auth.log"
    cp "$(host_file app02 /var/log/auth.log)" "$out/app02-auth.log"
    zstd -q -19 -f "$(host_file web01 /var/log/nginx/modsec_audit.log)" -o "$out/web01-modsec.json.zst"
    [ ! -s "$LAB/suricata/eve.json" ] || zstd -q -19 -f "$LAB/suricata/eve.json" -o "$out/gw-eve.json.zst"
    if [ -s "$LAB/audit.log" ]; then
        python3 "$HERE/lab/split_audit.py" "$LAB" <"$LAB/audit.log"
        zstd -q -19 -f "$LAB/web01-audit.log" -o "$out/web01-audit.log.zst"
        zstd -q -19 -f "$LAB/app02-audit.log" -o "$out/app02-audit.log.zst"
    fi
    python3 "$HERE/lab/write_manifest.py" "$out" >"$out/manifest.yaml"
    chmod 644 "$out"/*.log "$out"/*.zst "$out/manifest.yaml"
    ls -l "$out"
}

clean_up() {
    stop_sensors
    local id name
    for id in $STARTED; do
        kill "$id" 2>/dev/null || true
    done
    for name in $NAMESPACES; do
        for id in $(ip netns pids "wl-$name" 2>/dev/null); do
            kill -9 "$id" 2>/dev/null || true
        done
    done
    net_down
    sleep 1
    for name in web01 app02 ns1; do
        umount -R "$LAB/$name/root" 2>/dev/null || true
    done
    umount "$LAB" 2>/dev/null || umount -l "$LAB"
    rmdir "$LAB" 2>/dev/null || true
}

main
