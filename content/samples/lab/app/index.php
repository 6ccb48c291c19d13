<?php require 'common.php'; page_top('首页'); ?>
<h1>望城区政务公开</h1>
<ul>
<?php foreach (db()->query('SELECT id, title FROM news ORDER BY id') as $row): ?>
  <li><a href="/news.php?id=<?= $row['id'] ?>"><?= htmlspecialchars($row['title']) ?></a></li>
<?php endforeach ?>
</ul>
<?php page_end();
