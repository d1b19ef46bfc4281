-- Grain: business day × word × what it scored by × sku. Key: day, keyword, source,
-- sku_id. A query view.
-- Inputs: dws_traffic_source_keyword_page_view_window, dws_trade_sku_window,
-- dim_sku.
--
-- Words are in lower case, sources too: comparing them in another case would score
-- nothing. source: search, order, cart or click. sku_id: the goods with the word in
-- their name; empty for search. times: page views for the word (keyword_count of
-- dws_traffic_source_keyword_page_view_window); order lines of the goods, putting them in
-- a cart, views of them. score: 10, 5, 2 and 1 for each.
CREATE VIEW ads_keyword_source_day AS
WITH sku_words AS (
  SELECT sku_id, unnest(split_words(sku_name)) AS keyword FROM dim_sku
), sources AS (
  SELECT cur_date AS day, keyword, source, CAST(NULL AS BIGINT) AS sku_id, keyword_count
  FROM dws_traffic_source_keyword_page_view_window
  UNION ALL
  SELECT w.cur_date, s.keyword, 'order', w.sku_id, w.order_line_ct
  FROM dws_trade_sku_window AS w JOIN sku_words AS s ON s.sku_id = w.sku_id WHERE w.order_line_ct > 0
  UNION ALL
  SELECT w.cur_date, s.keyword, 'cart', w.sku_id, w.cart_ct
  FROM dws_trade_sku_window AS w JOIN sku_words AS s ON s.sku_id = w.sku_id WHERE w.cart_ct > 0
  UNION ALL
  SELECT w.cur_date, s.keyword, 'click', w.sku_id, w.click_ct
  FROM dws_trade_sku_window AS w JOIN sku_words AS s ON s.sku_id = w.sku_id WHERE w.click_ct > 0
)
SELECT
  day,
  keyword,
  source,
  sku_id,
  sum(keyword_count) AS times,
  sum(keyword_count * CASE source WHEN 'search' THEN 10 WHEN 'order' THEN 5 WHEN 'cart' THEN 2 WHEN 'click' THEN 1 ELSE 0 END) AS score
FROM sources
GROUP BY day, keyword, source, sku_id
