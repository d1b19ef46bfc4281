-- Grain: window × source × word. Key: stt, source, keyword.
-- Inputs: page_log.
--
-- keyword_count: how often the word was searched for. Search texts are in lower
-- case and split at spaces, up to six words; a text without spaces, such as a
-- Chinese one, stays whole. source is always written 'search' here.
CREATE MATERIALIZED VIEW dws_traffic_source_keyword_page_view_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  'search' AS source,
  keyword,
  keyword_count
FROM (
  SELECT stt, keyword, count(*) AS keyword_count
  FROM (
    SELECT date_bin(INTERVAL '${window}', ts) AS stt, split_part(lower(item), ' ', 1) AS keyword
    FROM page_log WHERE item_type = 'keyword' AND NOT is_bot
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', ts), split_part(lower(item), ' ', 2)
    FROM page_log WHERE item_type = 'keyword' AND split_part(item, ' ', 2) <> '' AND NOT is_bot
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', ts), split_part(lower(item), ' ', 3)
    FROM page_log WHERE item_type = 'keyword' AND split_part(item, ' ', 3) <> '' AND NOT is_bot
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', ts), split_part(lower(item), ' ', 4)
    FROM page_log WHERE item_type = 'keyword' AND split_part(item, ' ', 4) <> '' AND NOT is_bot
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', ts), split_part(lower(item), ' ', 5)
    FROM page_log WHERE item_type = 'keyword' AND split_part(item, ' ', 5) <> '' AND NOT is_bot
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', ts), split_part(lower(item), ' ', 6)
    FROM page_log WHERE item_type = 'keyword' AND split_part(item, ' ', 6) <> '' AND NOT is_bot
  ) AS words
  WHERE keyword <> ''
  GROUP BY stt, keyword
) AS windows
