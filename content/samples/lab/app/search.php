<?php require 'common.php'; page_top('检索');
$found = db()->prepare('SELECT id, title FROM news WHERE title LIKE ?');
$found->execute(['%' . ($_GET['q'] ?? '') . '%']);
foreach ($found as $row) {
    echo '<p><a href="/news.php?id=' . $row['id'] . '">' . htmlspecialchars($row['title']) . '</a></p>';
}
page_end();
