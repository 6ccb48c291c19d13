#!/usr/bin/env bash
# Runs inside its own mount, process and network namespaces: installs OLD.deb and then NEW.deb into an overlay over
# the machine's root, as `cargo xtask test` calls it: test-install.sh OVERLAY OLD.deb NEW.deb
# Exit 77: this machine cannot make the overlay.
set -euo pipefail
overlay=$1 old=$2 new=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$overlay"
mkdir "$overlay"/{upper,work,root}
if ! mount -t overlay overlay -o "lowerdir=/,upperdir=$overlay/upper,workdir=$overlay/work" "$overlay/root"; then
  echo "this kernel cannot mount an overlay over the root"; exit 77
fi
root=$overlay/root
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
ip link set lo up
cp "$old" "$root/tmp/old.deb"
cp "$new" "$root/tmp/new.deb"
inside() { chroot "$root" "$@"; }
fail() { echo "package test: $*"; exit 1; }

# The service, as its unit starts it but for systemd's sandbox.
serve() {
  # Not through the function above: the signal to stop must reach the platform, not a shell around it.
  chroot "$root" setpriv --reuid=wanglou --regid=wanglou --clear-groups --bounding-set=-all \
    /usr/bin/wanglou serve --config /etc/wanglou/wanglou.toml --listen 127.0.0.1:8443 >"$overlay/serve.log" 2>&1 &
  server=$!
  for _ in $(seq 150); do
    if inside curl -sk -o /dev/null --max-time 2 https://127.0.0.1:8443/api/v1/health; then return; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.2
  done
  cat "$overlay/serve.log"; fail "the installed platform does not answer"
}
stop() { kill -TERM "$server"; wait "$server" || fail "the platform did not stop cleanly"; }

inside dpkg -i /tmp/old.deb >/dev/null || fail "installing failed"
inside getent passwd wanglou >/dev/null || fail "no user wanglou"
[ "$(inside stat -c '%U %a' /var/lib/wanglou)" = "wanglou 700" ] || fail "the data folder is open to others"
inside wanglou --version >/dev/null || fail "the binary does not run"
serve
stop
[ -n "$(inside ls -A /var/lib/wanglou)" ] || fail "the platform wrote no data"
ca=$(inside sh -c 'cat /var/lib/wanglou/tls/ca.pem | sha256sum')
echo "# kept by upgrades" >>"$root/etc/wanglou/wanglou.toml"

inside dpkg -i /tmp/new.deb >/dev/null || fail "upgrading failed"
inside dpkg -s wanglou | grep -q '^Version: .*test2' || fail "the upgrade did not take"
grep -q 'kept by upgrades' "$root/etc/wanglou/wanglou.toml" || fail "the upgrade lost the configuration"
serve
stop
[ "$ca" = "$(inside sh -c 'cat /var/lib/wanglou/tls/ca.pem | sha256sum')" ] || fail "the upgrade lost data"

inside dpkg -r wanglou >/dev/null || fail "removing failed"
[ -n "$(inside ls -A /var/lib/wanglou)" ] || fail "removing took the data"
[ ! -e "$root/usr/bin/wanglou" ] || fail "removing left the binary"
inside dpkg -P wanglou >/dev/null || fail "purging failed"
[ ! -e "$root/var/lib/wanglou" ] && [ ! -e "$root/etc/wanglou" ] || fail "purging left data or configuration"
echo "package test passed"
