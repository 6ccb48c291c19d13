# The lab's hosts, sourced by record.sh: each is this system's files under an overlay in memory, in namespaces of its own,
# so that accounts, cron jobs and webshells of the lab never touch the real system and vanish with it.

host_up() { # NAME INIT_SCRIPT
    local root=$LAB/$1/root
    mkdir -p "$LAB/$1/upper" "$LAB/$1/work" "$root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$LAB/$1/upper,workdir=$LAB/$1/work" "$root"
    mount -t tmpfs tmpfs "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    local node
    for node in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
        # shellcheck disable=SC2086  # two words on purpose
        set -- "$1" "$2" $node
        mknod -m 666 "$root/dev/$3" c 1 "$4"
    done
    mknod -m 666 "$root/dev/tty" c 5 0
    mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/run/sshd" "$root/lab"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    cp -r "$HERE/lab/." "$root/lab/"
    rm -f "$root/etc/nologin"
    in_ns "$1" env -i PATH="$PATH" TZ=Asia/Shanghai LANG=C.UTF-8 HOST="$1" \
        unshare --mount --uts --ipc --pid --fork --kill-child chroot "$root" /bin/bash /lab/init.sh "$2" \
        >"$LAB/$1.out" 2>&1 &
    STARTED="$STARTED $!"
    local waited=0
    until [ -e "$root/run/lab-ready" ]; do
        sleep 0.2
        waited=$((waited + 1))
        [ "$waited" -lt 150 ] || { echo "host $1 did not start; its output:" >&2; cat "$LAB/$1.out" >&2; return 1; }
    done
}

host_file() { # NAME PATH: where a host's file lies here
    echo "$LAB/$1/root$2"
}
