-- Grain: window × source × word. Key: stt, source, keyword.
-- Inputs: page_log.
--
-- keyword_count: page views for the word: of the search page, of the list that it
-- found, and of each return to that. Search texts are split into words in lower case,
-- Chinese ones too (split_words; dictionary.txt of the project has words of one's own). source is always written 'search' here.
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
    SELECT date_bin(INTERVAL '${window}', ts) AS stt, unnest(split_words(item)) AS keyword
    FROM page_log
    WHERE item_type = 'keyword' AND NOT is_bot
  ) AS words
  GROUP BY stt, keyword
) AS windows
