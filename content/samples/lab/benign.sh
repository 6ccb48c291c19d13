# What staff do all day, sourced by record.sh: browsing, signing in, a wrong password now and then, administration over SSH,
# name lookups. Each function runs until its deadline.

readonly SITE=http://10.20.1.10
readonly SITE_NAME=oa.example.gov.cn

staff_curl() { # FROM CURL_ARGUMENTS...
    local from=$1
    shift
    in_ns usr curl -s -m 5 -o /dev/null -H "Host: $SITE_NAME" --interface "$from" "$@" || true
}

staff_browse() { # ADDRESS USER PASSWORD AGENT DEADLINE
    local page
    while [ "$(date +%s)" -lt "$5" ]; do
        for page in / /style.css "/news.php?id=$((RANDOM % 5 + 1))" "/search.php?q=%E5%85%AC%E5%91%8A" "/news.php?id=$((RANDOM % 5 + 1))"; do
            staff_curl "$1" -A "$4" -e "http://$SITE_NAME/" "$SITE$page"
            sleep "$((RANDOM % 4 + 1))"
        done
        [ $((RANDOM % 4)) -ne 0 ] ||
            staff_curl "$1" -A "$4" -d "user=$2&pass=typo" "$SITE/login.php"
        staff_curl "$1" -A "$4" -d "user=$2&pass=$3" "$SITE/login.php"
        sleep "$((RANDOM % 20 + 5))"
    done
}

staff_lookup() { # ADDRESS DEADLINE
    local name
    while [ "$(date +%s)" -lt "$2" ]; do
        for name in oa.example.gov.cn www.example.org mail.example.gov.cn; do
            in_ns usr dig +time=1 +tries=1 -b "$1" @10.20.1.53 "$name" A >/dev/null
            sleep "$((RANDOM % 6 + 2))"
        done
        in_ns usr dig +time=1 +tries=1 -b "$1" @10.20.1.53 _dmarc.example.gov.cn TXT >/dev/null
    done
}

staff_admin() { # ADDRESS DEADLINE: works on app02 as zhangwei, now and then mistyping the password
    while [ "$(date +%s)" -lt "$2" ]; do
        [ $((RANDOM % 3)) -ne 0 ] || ssh_as usr "$1" 'Zhang.Wei2026' zhangwei 10.20.1.20 true || true
        ssh_as usr "$1" 'Zhang.Wei#2026' zhangwei 10.20.1.20 \
            'uptime; df -h /; echo "Zhang.Wei#2026" | sudo -S -p "" tail -n 3 /var/log/syslog' || true
        sleep "$((RANDOM % 30 + 25))"
    done
}

ssh_as() { # NAMESPACE FROM PASSWORD USER HOST COMMAND...: standard input is passed on
    local name=$1 from=$2 password=$3 user=$4 host=$5
    shift 5
    in_ns "$name" sshpass -p "$password" ssh -T -b "$from" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o PubkeyAuthentication=no -o ConnectTimeout=5 -o LogLevel=ERROR "$user@$host" "$@" >/dev/null 2>&1
}
