# The lab's network, sourced by record.sh: four outside, user and server segments behind one gateway, all in namespaces.
#
#   wl-att  203.0.113.0/24, 198.51.100.0/24, 2001:db8:bad::/64   (attackers)   ┐
#   wl-usr  10.20.9.0/24, fd00:20:9::/64                         (staff)       ├─ wl-gw ─ bridge srv0 ─ wl-web01, wl-app02, wl-ns1
#
# Suricata listens on srv0, so it sees what enters and leaves the server segment.

readonly NAMESPACES="gw att usr web01 app02 ns1"

net_up() {
    local name
    for name in $NAMESPACES; do
        ip netns add "wl-$name"
        ip -n "wl-$name" link set lo up
    done
    in_ns gw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n wl-gw link add srv0 type bridge
    address gw srv0 10.20.1.1/24 fd00:20:1::1/64
    join att eth-att
    address gw eth-att 203.0.113.1/24 198.51.100.1/24 2001:db8:bad::1/64
    address att eth0 203.0.113.66/24 203.0.113.10/24 203.0.113.80/24 198.51.100.23/24 2001:db8:bad::66/64
    join usr eth-usr
    address gw eth-usr 10.20.9.1/24 fd00:20:9::1/64
    address usr eth0 10.20.9.21/24 10.20.9.22/24 10.20.9.23/24 10.20.9.24/24 10.20.9.31/24 fd00:20:9::21/64
    server web01 10.20.1.10/24 fd00:20:1::10/64
    server app02 10.20.1.20/24 fd00:20:1::20/64
    server ns1 10.20.1.53/24 fd00:20:1::53/64
    ip -n wl-att route add default via 203.0.113.1
    ip -n wl-att route add default via 2001:db8:bad::1
    ip -n wl-usr route add default via 10.20.9.1
    ip -n wl-usr route add default via fd00:20:9::1
}

net_down() {
    local name
    for name in $NAMESPACES; do
        ip netns del "wl-$name" 2>/dev/null || true
    done
}

in_ns() { # NAMESPACE COMMAND...
    local name=$1
    shift
    ip netns exec "wl-$name" "$@"
}

join() { # NAMESPACE GATEWAY_INTERFACE: a cable from the gateway to the namespace's eth0
    ip -n wl-gw link add "$2" type veth peer name eth0 netns "wl-$1"
    # Suricata cannot check sums that a veth leaves to hardware.
    in_ns "$1" ethtool -K eth0 tx off tso off gso off >/dev/null 2>&1 || true
}

address() { # NAMESPACE INTERFACE ADDRESS...
    local name=$1 interface=$2 each
    shift 2
    for each; do
        case $each in
        *:*) ip -n "wl-$name" address add "$each" dev "$interface" nodad ;;
        *) ip -n "wl-$name" address add "$each" dev "$interface" ;;
        esac
    done
    ip -n "wl-$name" link set "$interface" up
}

server() { # NAME ADDRESS4 ADDRESS6: a host on the server segment
    join "$1" "eth-$1"
    ip -n wl-gw link set "eth-$1" master srv0 up
    address "$1" eth0 "$2" "$3"
    ip -n "wl-$1" route add default via 10.20.1.1
    ip -n "wl-$1" route add default via fd00:20:1::1
}
