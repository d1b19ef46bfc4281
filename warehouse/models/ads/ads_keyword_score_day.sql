-- Grain: business day × word. Key: day, keyword. A query view.
-- Inputs: dws_traffic_source_keyword_page_view_window, dws_trade_sku_window,
-- dim_sku.
--
-- score: 10 for each search for the word; for each order line, putting in a cart
-- and view of goods with the word in their name 5, 2 and 1. Words are in lower
-- case, sources too: comparing them in another case would score nothing.
CREATE VIEW ads_keyword_score_day AS
WITH sku_words AS (
  SELECT sku_id, unnest(split_words(sku_name)) AS keyword FROM dim_sku
), sources AS (
  SELECT cur_date AS day, keyword, source, keyword_count FROM dws_traffic_source_keyword_page_view_window
  UNION ALL
  SELECT w.cur_date, s.keyword, 'order', w.order_line_ct
  FROM dws_trade_sku_window AS w JOIN sku_words AS s ON s.sku_id = w.sku_id WHERE w.order_line_ct > 0
  UNION ALL
  SELECT w.cur_date, s.keyword, 'cart', w.cart_ct
  FROM dws_trade_sku_window AS w JOIN sku_words AS s ON s.sku_id = w.sku_id WHERE w.cart_ct > 0
  UNION ALL
  SELECT w.cur_date, s.keyword, 'click', w.click_ct
  FROM dws_trade_sku_window AS w JOIN sku_words AS s ON s.sku_id = w.sku_id WHERE w.click_ct > 0
)
SELECT
  day,
  keyword,
  sum(keyword_count * CASE source WHEN 'search' THEN 10 WHEN 'order' THEN 5 WHEN 'cart' THEN 2 WHEN 'click' THEN 1 ELSE 0 END) AS score
FROM sources
GROUP BY day, keyword
