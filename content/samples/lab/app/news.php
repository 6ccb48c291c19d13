<?php require 'common.php'; page_top('新闻');
// Weak on purpose: the parameter goes into the statement as it comes.
$row = db()->query('SELECT id, title, body FROM news WHERE id=' . ($_GET['id'] ?? '1'))->fetch();
if ($row) {
    echo '<h1>' . htmlspecialchars($row[1]) . '</h1><article>' . htmlspecialchars($row[2]) . '</article>';
} else {
    echo '<p>未找到</p>';
}
page_end();
