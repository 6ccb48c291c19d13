<?php
// The target of the recording lab. It is weak on purpose: never run it outside the lab's namespaces.
// A failed statement is one line in the server's error log, whatever the message holds.
set_exception_handler(function (Throwable $error): void {
    http_response_code(500);
    error_log('uncaught: ' . strtr($error->getMessage(), "\n", ' '));
});

function db(): PDO
{
    static $db = null;
    if ($db === null) {
        $db = new PDO('sqlite:/var/lib/lab/site.db');
        $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    }
    return $db;
}

function page_top(string $title): void
{
    echo "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><title>$title</title>";
    echo '<link rel="stylesheet" href="/style.css"></head><body>';
    echo '<nav><a href="/">首页</a> <a href="/search.php">检索</a> <a href="/login.php">登录</a></nav>';
}

function page_end(): void
{
    echo '<footer>望城区数据局</footer></body></html>';
}
