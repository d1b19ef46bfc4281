-- a1: one device's rows
SELECT ts, page, stay_ms FROM page_rows WHERE device = 'device_77' ORDER BY ts, page, stay_ms LIMIT 100;
-- a2: two conditions on text and a range
SELECT page, count(*) AS views FROM page_rows WHERE brand = 'OnePlus' AND province = 'province_30' AND stay_ms > 60000 GROUP BY page ORDER BY page;
-- a3: words within text
SELECT category, count(*) AS lines, sum(amount) AS amount FROM order_lines WHERE sku_name LIKE '%99%' GROUP BY category ORDER BY category;
-- a4: people by hour of the day
SELECT extract(hour FROM ts) AS hour, count(*) AS views, count(DISTINCT user_id) AS people FROM page_rows WHERE user_id IS NOT NULL GROUP BY 1 ORDER BY 1;
-- a5: the devices that stayed longest
SELECT device, sum(stay_ms) AS stay, count(*) AS views FROM page_rows GROUP BY device ORDER BY stay DESC, device LIMIT 10;
-- a6: how many bought how often
SELECT orders, count(*) AS buyers FROM (SELECT user_id, count(DISTINCT order_id) AS orders FROM order_lines GROUP BY user_id) AS by_user GROUP BY orders ORDER BY orders DESC LIMIT 20;
-- a7: buyers of one category among the visitors of one channel
SELECT count(*) AS views, count(DISTINCT p.user_id) AS people FROM page_rows AS p JOIN (SELECT DISTINCT user_id FROM order_lines WHERE category = 'category_07') AS b ON p.user_id = b.user_id WHERE p.channel = 'web';
-- a8: each goods beside its views
SELECT o.sku_id, o.sold, v.views FROM (SELECT sku_id, sum(quantity) AS sold FROM order_lines GROUP BY sku_id) AS o JOIN (SELECT item, count(*) AS views FROM page_rows WHERE item IS NOT NULL GROUP BY item) AS v ON v.item = o.sku_id ORDER BY v.views DESC, o.sku_id LIMIT 50;
-- a9: rank of channels within provinces
SELECT province, channel, amount, place FROM (SELECT province, channel, sum(amount) AS amount, row_number() OVER (PARTITION BY province ORDER BY sum(amount) DESC, channel) AS place FROM order_lines GROUP BY province, channel) AS ranked WHERE place <= 3 ORDER BY province, place;
-- a10: a week against the week before
SELECT brand, sum(CASE WHEN ts >= TIMESTAMP '2026-11-08 00:00:00' THEN 1 ELSE 0 END) AS this_week, sum(CASE WHEN ts < TIMESTAMP '2026-11-08 00:00:00' THEN 1 ELSE 0 END) AS last_week, avg(stay_ms) AS stay FROM page_rows WHERE page IN ('good_detail', 'cart', 'trade') GROUP BY brand ORDER BY brand;
