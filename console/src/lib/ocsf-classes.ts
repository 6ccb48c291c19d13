/** Names of the OCSF 1.8.0 event classes that telemetry is mapped to, in both languages; English ones are the captions. */

const NAMES: Record<number, readonly [en: string, zh: string]> = {
  0: ['Base Event', '未归类'],
  1001: ['File System Activity', '文件操作'],
  1002: ['Kernel Extension Activity', '内核模块'],
  1003: ['Kernel Activity', '内核活动'],
  1004: ['Memory Activity', '内存访问'],
  1005: ['Module Activity', '模块加载'],
  1006: ['Scheduled Job Activity', '计划任务'],
  1007: ['Process Activity', '进程活动'],
  1008: ['Event Log Activity', '系统日志操作'],
  1009: ['Script Activity', '脚本执行'],
  2004: ['Detection Finding', '检测结果'],
  3001: ['Account Change', '账号变更'],
  3002: ['Authentication', '身份鉴别'],
  3003: ['Authorize Session', '会话授权'],
  3004: ['Entity Management', '对象管理'],
  3006: ['Group Management', '用户组管理'],
  4001: ['Network Activity', '网络连接'],
  4002: ['HTTP Activity', '网页访问'],
  4003: ['DNS Activity', '域名解析'],
  4004: ['DHCP Activity', '地址分配'],
  4005: ['RDP Activity', '远程桌面'],
  4006: ['SMB Activity', '文件共享'],
  4007: ['SSH Activity', '远程登录'],
  4008: ['FTP Activity', '文件传输'],
  4009: ['Email Activity', '电子邮件'],
  4013: ['NTP Activity', '时间同步'],
  4014: ['Tunnel Activity', '隧道'],
  6001: ['Web Resources Activity', '网页资源'],
  6002: ['Application Lifecycle', '应用启停'],
  6003: ['API Activity', '接口调用'],
  6005: ['Datastore Activity', '数据库访问'],
  201001: ['Registry Key Activity', '注册表键'],
  201002: ['Registry Value Activity', '注册表值'],
  201004: ['Windows Service Activity', '系统服务'],
}

/** The class's name in the language of the screen; its caption or number where we have none. */
export function className(uid: number | undefined, caption: string | undefined, locale: string): string {
  const names = uid === undefined ? undefined : NAMES[uid]
  if (!names) return caption ?? String(uid ?? '')
  return locale.startsWith('zh') ? names[1] : names[0]
}
