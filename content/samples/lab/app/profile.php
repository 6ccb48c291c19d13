<?php require 'common.php'; page_top('个人中心');
// Weak on purpose: any file is stored under its own name in a folder that runs scripts.
if (isset($_FILES['avatar'])) {
    $name = basename($_FILES['avatar']['name']);
    move_uploaded_file($_FILES['avatar']['tmp_name'], __DIR__ . '/uploads/' . $name);
    echo "<p>已上传：/uploads/" . htmlspecialchars($name) . '</p>';
} ?>
<form method="post" enctype="multipart/form-data"><input type="file" name="avatar"><button>上传</button></form>
<?php page_end();
