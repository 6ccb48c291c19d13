<?php
// Fills the weak site's database with invented news and users.
$db = new PDO('sqlite:/var/lib/lab/site.db');
$db->exec('CREATE TABLE news (id INTEGER PRIMARY KEY, title TEXT, body TEXT)');
$db->exec('CREATE TABLE users (name TEXT, password TEXT)');
$news = ['政务服务大厅国庆假期办事安排', '数据共享平台例行维护公告', '关于公开征集意见的通知', '城市公共数据开放目录（第三批）', '网络安全宣传周活动启动'];
$add = $db->prepare('INSERT INTO news (title, body) VALUES (?, ?)');
foreach ($news as $title) {
    $add->execute([$title, str_repeat($title . '。', 12)]);
}
$add = $db->prepare('INSERT INTO users VALUES (?, ?)');
foreach ([['admin', 'admin888'], ['zhangwei', 'Zw@2026spring'], ['lina', 'Lina@2026spring']] as $user) {
    $add->execute($user);
}
