/** ATT&CK tactics (enterprise, v18) in the order of an attack, with the names both languages use on screen. */
export interface Tactic {
  uid: string
  en: string
  zh: string
}

export const TACTICS: readonly Tactic[] = [
  { uid: 'TA0043', en: 'Reconnaissance', zh: '侦察' },
  { uid: 'TA0042', en: 'Resource Development', zh: '资源开发' },
  { uid: 'TA0001', en: 'Initial Access', zh: '初始访问' },
  { uid: 'TA0002', en: 'Execution', zh: '执行' },
  { uid: 'TA0003', en: 'Persistence', zh: '持久化' },
  { uid: 'TA0004', en: 'Privilege Escalation', zh: '权限提升' },
  { uid: 'TA0005', en: 'Defense Evasion', zh: '防御规避' },
  { uid: 'TA0006', en: 'Credential Access', zh: '凭据获取' },
  { uid: 'TA0007', en: 'Discovery', zh: '发现' },
  { uid: 'TA0008', en: 'Lateral Movement', zh: '横向移动' },
  { uid: 'TA0009', en: 'Collection', zh: '收集' },
  { uid: 'TA0011', en: 'Command and Control', zh: '命令与控制' },
  { uid: 'TA0010', en: 'Exfiltration', zh: '数据渗出' },
  { uid: 'TA0040', en: 'Impact', zh: '影响' },
]

/** A tactic's name in the language of the screen; its id where we do not know it. */
export function tacticName(uid: string, locale: string): string {
  const tactic = TACTICS.find((known) => known.uid === uid)
  if (!tactic) return uid
  return locale.startsWith('zh') ? tactic.zh : tactic.en
}
