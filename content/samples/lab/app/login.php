<?php require 'common.php';
$message = '';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $found = db()->prepare('SELECT name FROM users WHERE name = ? AND password = ?');
    $found->execute([$_POST['user'] ?? '', $_POST['pass'] ?? '']);
    if ($found->fetch()) {
        header('Location: /profile.php');
        exit;
    }
    $message = '用户名或口令错误 (wrong)';
}
page_top('登录'); ?>
<form method="post"><input name="user"><input name="pass" type="password"><button>登录</button></form>
<p><?= $message ?></p>
<?php page_end();
