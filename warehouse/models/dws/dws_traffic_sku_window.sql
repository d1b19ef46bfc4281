-- Grain: window × sku that was shown or looked at. Key: stt, sku_id.
-- Inputs: display_log, page_log.
--
-- display_ct: times shown; click_ct: views of its own page. A narrow view of its
-- own: goods are shown far more often than anything else happens to them.
CREATE MATERIALIZED VIEW dws_traffic_sku_window AS
SELECT
  stt,
  sku_id,
  count(*) FILTER (WHERE is_display) AS display_ct,
  count(*) FILTER (WHERE NOT is_display) AS click_ct
FROM (
  SELECT date_bin(INTERVAL '${window}', ts) AS stt, TRY_CAST(item AS BIGINT) AS sku_id, TRUE AS is_display
  FROM display_log
  WHERE item_type = 'sku_id' AND NOT is_bot
  UNION ALL
  SELECT date_bin(INTERVAL '${window}', ts), TRY_CAST(item AS BIGINT), FALSE
  FROM page_log
  WHERE page_id = 'good_detail' AND item_type = 'sku_id' AND NOT is_bot
) AS views
WHERE sku_id IS NOT NULL
GROUP BY stt, sku_id
