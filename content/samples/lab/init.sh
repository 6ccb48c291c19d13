#!/bin/bash
# The first process of a lab host: sets up accounts and services, then waits to be killed. Runs inside the overlay.
set -eu
mount -t proc proc /proc
hostname "$HOST"
echo "127.0.0.1 localhost $HOST" >/etc/hosts
rm -f /etc/localtime && ln -s /usr/share/zoneinfo/Asia/Shanghai /etc/localtime
rm -f /var/log/auth.log /var/log/syslog /etc/update-motd.d/*
rsyslogd -f /lab/rsyslog.conf -i /run/rsyslogd.pid

account() { # NAME UID PASSWORD
    useradd -m -u "$2" -s /bin/bash "$1"
    echo "$1:$3" | chpasswd
}

run_sshd() {
    rm -f /etc/ssh/ssh_host_*
    ssh-keygen -A >/dev/null
    /usr/sbin/sshd -f /lab/sshd_config
}

run_site() {
    mkdir -p /srv/site/uploads /var/lib/lab /var/log/nginx
    rm -f /var/log/nginx/*
    cp /lab/app/* /srv/site/
    php /lab/seed.php
    chown -R www-data: /srv/site/uploads /var/lib/lab
    php-fpm8.2 --fpm-config /lab/php-fpm.conf
    nginx -c /lab/nginx.conf
}

case $1 in
web)
    account deploy 5001 'Deploy@2026!long'
    run_sshd
    run_site
    ;;
app)
    account ops 5002 'ops123456'
    account zhangwei 5003 'Zhang.Wei#2026'
    echo 'ops ALL=(root) NOPASSWD: /usr/bin/find' >/etc/sudoers.d/ops
    echo 'zhangwei ALL=(ALL) ALL' >/etc/sudoers.d/zhangwei
    chmod 440 /etc/sudoers.d/ops /etc/sudoers.d/zhangwei
    run_sshd
    ;;
dns)
    dnsmasq --no-resolv --no-hosts --bind-interfaces --listen-address=10.20.1.53 --user=root --pid-file=/run/dnsmasq.pid \
        --address=/oa.example.gov.cn/10.20.1.10 --address=/www.example.org/192.0.2.80 --address=/t.example.net/192.0.2.53 \
        --txt-record=v.t.example.net,ok --local=/#/
    ;;
esac
touch /run/lab-ready
while :; do
    sleep 5 &
    wait $! || true
done
