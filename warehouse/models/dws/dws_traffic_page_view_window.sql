-- Grain: window. Key: stt.
-- Inputs: page_log.
--
-- home_uv_ct, good_detail_uv_ct: devices that saw the home page, or goods, in the
-- window; they do not add up over windows.
CREATE MATERIALIZED VIEW dws_traffic_page_view_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  home_uv_ct,
  good_detail_uv_ct
FROM (
  SELECT
    date_bin(INTERVAL '${window}', ts) AS stt,
    count(DISTINCT CASE WHEN page_id = 'home' THEN mid END) AS home_uv_ct,
    count(DISTINCT CASE WHEN page_id = 'good_detail' THEN mid END) AS good_detail_uv_ct
  FROM page_log
  WHERE page_id IN ('home', 'good_detail') AND NOT is_bot
  GROUP BY 1
) AS windows
