/** Fields that are worth offering: what analysts ask by, and whose most frequent values say what the logs are. */

export interface SearchField {
  /** As the search takes it: a dotted OCSF path, or one of the server's short names. */
  path: string
  /** Its name in the messages (`field.…`). */
  name: string
  /** Its most frequent values are shown beside the results. */
  counted?: boolean
}

export const SEARCH_FIELDS: readonly SearchField[] = [
  { path: 'source', name: 'source', counted: true },
  { path: 'severity', name: 'severity', counted: true },
  { path: 'product', name: 'product', counted: true },
  { path: 'class_uid', name: 'class', counted: true },
  { path: 'src_endpoint.ip', name: 'srcIp', counted: true },
  { path: 'dst_endpoint.ip', name: 'dstIp', counted: true },
  { path: 'dst_endpoint.port', name: 'dstPort', counted: true },
  { path: 'device.hostname', name: 'host', counted: true },
  { path: 'user.name', name: 'user', counted: true },
  { path: 'actor.user.name', name: 'actorUser' },
  { path: 'process.name', name: 'process', counted: true },
  { path: 'process.cmd_line', name: 'commandLine' },
  { path: 'http_request.http_method', name: 'method' },
  { path: 'http_request.url.path', name: 'urlPath' },
  { path: 'http_response.code', name: 'responseCode', counted: true },
  { path: 'query.hostname', name: 'dnsName', counted: true },
  { path: 'file.path', name: 'filePath' },
  { path: 'status_id', name: 'status' },
]
