-- Fourteen days of page rows and order lines, the same on every machine: all
-- values are hashes of the row's number. $pages and $lines are numbers of rows.
CREATE MACRO pick(i, salt, n) AS CAST(hash(i * 1000003 + salt) % n AS BIGINT);
-- Small numbers more often than large ones.
CREATE MACRO skewed(i, salt, n) AS CAST(floor(n * pow((hash(i * 1000003 + salt) % 1000000) / 1000000.0, 3)) AS BIGINT);

CREATE MACRO page_rows(first, behind) AS TABLE
SELECT TIMESTAMP '2026-11-01 00:00:00' + to_microseconds(CAST(i * (14 * 86400000000 / $pages) AS BIGINT) + pick(i, 1, 60000000)) AS ts,
  'device_' || skewed(i, 2, greatest($pages // 25, 10)) AS device,
  CASE WHEN pick(i, 3, 10) < 6 THEN skewed(i, 4, greatest($pages // 50, 10)) END AS user_id,
  ['home', 'search', 'good_list', 'good_detail', 'good_spec', 'comment', 'comment_list', 'cart', 'trade', 'payment', 'payment_done', 'mine', 'orders_all', 'orders_unpaid', 'coupon', 'activity', 'login', 'register'][skewed(i, 5, 18) + 1] AS page,
  CASE WHEN pick(i, 6, 3) = 0 THEN skewed(i, 7, 100000) END AS item,
  ['app_store', 'huawei', 'xiaomi', 'oppo', 'vivo', 'web', 'mini_program', 'tablet'][skewed(i, 8, 8) + 1] AS channel,
  'province_' || lpad(CAST(skewed(i, 9, 34) AS VARCHAR), 2, '0') AS province,
  ['iPhone', 'Huawei', 'Xiaomi', 'OPPO', 'vivo', 'Honor', 'Redmi', 'Samsung', 'realme', 'OnePlus', 'other'][skewed(i, 10, 11) + 1] AS brand,
  CAST(200 + skewed(i, 11, 120000) AS INTEGER) AS stay_ms,
  pick(i, 12, 9) = 0 AS is_new
FROM range(first, behind) AS numbers(i);

CREATE MACRO order_lines(first, behind) AS TABLE
SELECT i AS line_id, i * 10 // 23 AS order_id,
  skewed(i * 10 // 23, 21, greatest($pages // 50, 10)) AS user_id,
  sku AS sku_id, 'goods number ' || sku AS sku_name, 'category_' || lpad(CAST(sku % 60 AS VARCHAR), 2, '0') AS category,
  'province_' || lpad(CAST(skewed(i * 10 // 23, 22, 34) AS VARCHAR), 2, '0') AS province,
  ['app_store', 'huawei', 'xiaomi', 'oppo', 'vivo', 'web', 'mini_program', 'tablet'][skewed(i * 10 // 23, 23, 8) + 1] AS channel,
  CAST(1 + skewed(i, 24, 5) AS INTEGER) AS quantity,
  CAST((100 + skewed(i, 25, 500000)) / 100.0 AS DECIMAL(16, 2)) AS amount,
  CAST(CASE WHEN pick(i, 26, 4) = 0 THEN pick(i, 27, 5000) / 100.0 ELSE 0 END AS DECIMAL(16, 2)) AS discount,
  TIMESTAMP '2026-11-01 00:00:00' + to_microseconds(CAST(i * (14 * 86400000000 / $lines) AS BIGINT)) AS created
FROM (SELECT i, skewed(i, 28, 100000) AS sku FROM range(first, behind) AS numbers(i));
