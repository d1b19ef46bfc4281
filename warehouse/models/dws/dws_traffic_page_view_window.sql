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
  uniq_count(home_state) AS home_uv_ct,
  uniq_count(good_detail_state) AS good_detail_uv_ct
FROM (
  SELECT
    date_bin(INTERVAL '${window}', ts) AS stt,
    uniq_state(mid, 'device') FILTER (WHERE page_id = 'home') AS home_state,
    uniq_state(mid, 'device') FILTER (WHERE page_id = 'good_detail') AS good_detail_state
  FROM page_log
  WHERE page_id IN ('home', 'good_detail') AND NOT is_bot
  GROUP BY 1
) AS windows
