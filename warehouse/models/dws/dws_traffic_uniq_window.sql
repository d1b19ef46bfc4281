-- Grain: window × app version × channel × area. Key: stt, vc, ch, ar.
-- Inputs: page_log.
--
-- uv_state: the devices seen, as a state: uniq_count(uniq_merge(uv_state)) over
-- any of these rows is the number of different devices in all of them together.
-- uv_ct: of this row alone; does not add up. pv_ct: page views; dur_sum:
-- milliseconds that they lasted; both add up. Bots are left out.
CREATE MATERIALIZED VIEW dws_traffic_uniq_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  vc,
  ch,
  ar,
  uv_state,
  uniq_count(uv_state) AS uv_ct,
  pv_ct,
  coalesce(dur_sum, 0) AS dur_sum
FROM (
  SELECT
    date_bin(INTERVAL '${window}', ts) AS stt,
    coalesce(vc, '') AS vc,
    ch,
    coalesce(ar, '') AS ar,
    uniq_state(mid, 'device') AS uv_state,
    count(*) AS pv_ct,
    sum(during_time) AS dur_sum
  FROM page_log
  WHERE NOT is_bot
  GROUP BY 1, 2, 3, 4
) AS windows
