/**
 * Why a finding's outcome is what it is. Detection says so in English, in one of a few sentences; here are the same
 * sentences in Chinese. One that is not known is shown as it came.
 */
const CHINESE: readonly [said: RegExp, chinese: string][] = [
  [/^the sensor reports `(\w+)`$/, '探针报告动作为 $1'],
  [/^the server served the request \(status (\d+)\)$/, '服务器正常响应了请求（状态码 $1）'],
  [/^the server refused the request \(status (\d+)\)$/, '服务器拒绝了请求（状态码 $1）'],
  [/^the logon succeeded$/, '登录成功'],
  [/^the logon failed$/, '登录失败'],
  [/^the source reports that the action failed$/, '来源报告操作失败'],
  [/^the host recorded the action as done$/, '主机记录显示操作已完成'],
]

export function outcomeProof(said: string, locale: string): string {
  if (!locale.startsWith('zh')) return said
  const known = CHINESE.find(([pattern]) => pattern.test(said))
  return known ? said.replace(known[0], known[1]) : said
}
