-- d1: views, people and time by day
SELECT date_trunc('day', ts) AS day, count(*) AS views, count(DISTINCT device) AS visitors, sum(stay_ms) AS stay FROM page_rows GROUP BY 1 ORDER BY 1;
-- d2: views by hour of the newest day
SELECT date_trunc('hour', ts) AS hour, count(*) AS views, sum(stay_ms) AS stay FROM page_rows WHERE ts >= TIMESTAMP '2026-11-14 00:00:00' GROUP BY 1 ORDER BY 1;
-- d3: channels: views, time, share of new devices
SELECT channel, count(*) AS views, avg(stay_ms) AS stay, sum(CASE WHEN is_new THEN 1 ELSE 0 END) AS new_views FROM page_rows GROUP BY channel ORDER BY views DESC, channel;
-- d4: pages by number of views
SELECT page, count(*) AS views, sum(stay_ms) AS stay FROM page_rows GROUP BY page ORDER BY views DESC, page LIMIT 10;
-- d5: the funnel of a day: who came to which page
SELECT count(DISTINCT CASE WHEN page = 'home' THEN device END) AS home, count(DISTINCT CASE WHEN page = 'good_detail' THEN device END) AS detail, count(DISTINCT CASE WHEN page = 'cart' THEN device END) AS cart, count(DISTINCT CASE WHEN page = 'payment' THEN device END) AS payment FROM page_rows WHERE ts >= TIMESTAMP '2026-11-13 00:00:00' AND ts < TIMESTAMP '2026-11-14 00:00:00';
-- d6: turnover by day
SELECT date_trunc('day', created) AS day, sum(amount) AS amount, count(DISTINCT order_id) AS orders, count(DISTINCT user_id) AS buyers FROM order_lines GROUP BY 1 ORDER BY 1;
-- d7: the map: turnover by province
SELECT province, sum(amount) AS amount, count(*) AS lines FROM order_lines GROUP BY province ORDER BY province;
-- d8: goods that sold best
SELECT sku_id, sku_name, sum(amount) AS amount, sum(quantity) AS sold FROM order_lines GROUP BY sku_id, sku_name ORDER BY amount DESC, sku_id LIMIT 20;
-- d9: categories by channel
SELECT category, channel, sum(amount - discount) AS paid FROM order_lines GROUP BY category, channel ORDER BY category, channel;
-- d10: big numbers of the newest day
SELECT count(*) AS lines, sum(amount) AS amount, sum(discount) AS discount, max(amount) AS greatest, count(DISTINCT user_id) AS buyers FROM order_lines WHERE created >= TIMESTAMP '2026-11-14 00:00:00';
