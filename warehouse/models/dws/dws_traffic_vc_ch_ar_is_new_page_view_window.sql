-- Grain: window × app version × channel × area × new device. Key: stt, vc, ch,
-- ar, is_new.
-- Inputs: page_log, dwd_traffic_session, dwd_traffic_user_jump_detail,
-- dwd_traffic_unique_visitor_detail, dim_device.
--
-- uv_ct: devices seen in the window; does not add up. uv_state: the same devices as a
-- state, of which uniq_count(uniq_merge(uv_state)) over any of these rows is the number
-- of different devices in all of them together. first_of_day_uv_ct:
-- devices in the window of their first page view of the day; adds up to the
-- day's uv. sv_ct: sessions that began; uj_ct: of them, those of one page so far
-- (bounces). pv_ct: page views; dur_sum: milliseconds that they lasted.
-- is_new: on the device's first day.
--
-- Computed when asked: kept current, it would keep every window of every device
-- for all time to join it with the device, which may yet turn out to be older.
-- Counted by device first, so that no set of devices is made for a group whose state
-- nobody asks for.
CREATE VIEW dws_traffic_vc_ch_ar_is_new_page_view_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  vc,
  ch,
  ar,
  is_new,
  uv_ct,
  uv_state,
  first_of_day_uv_ct,
  sv_ct,
  uj_ct,
  pv_ct,
  coalesce(dur_sum, 0) AS dur_sum
FROM (
  SELECT
    e.stt,
    e.vc,
    e.ch,
    e.ar,
    CASE WHEN CAST(e.stt AT TIME ZONE '${time_zone}' AS DATE) = d.first_day
      AND d.first_day = d.new_day THEN 1 ELSE 0 END AS is_new,
    count(*) FILTER (WHERE e.pv_ct > 0) AS uv_ct,
    uniq_state(e.mid, 'device') FILTER (WHERE e.pv_ct > 0) AS uv_state,
    CAST(sum(e.first_ct) AS BIGINT) AS first_of_day_uv_ct,
    CAST(sum(e.sv_ct) AS BIGINT) AS sv_ct,
    CAST(sum(e.uj_ct) AS BIGINT) AS uj_ct,
    CAST(sum(e.pv_ct) AS BIGINT) AS pv_ct,
    sum(e.dur_sum) AS dur_sum
  FROM (
    SELECT stt, vc, ch, ar, mid, count(*) FILTER (WHERE kind = 'page') AS pv_ct,
      count(*) FILTER (WHERE kind = 'first') AS first_ct, count(*) FILTER (WHERE kind = 'session') AS sv_ct,
      count(*) FILTER (WHERE kind = 'jump') AS uj_ct, sum(during_time) AS dur_sum
    FROM (
      SELECT date_bin(INTERVAL '${window}', ts) AS stt, coalesce(vc, '') AS vc, ch,
        coalesce(ar, '') AS ar, mid, 'page' AS kind, during_time
      FROM page_log
      WHERE NOT is_bot
      UNION ALL
      SELECT date_bin(INTERVAL '${window}', first_time), vc, channel, ar, mid, 'first', CAST(NULL AS BIGINT)
      FROM dwd_traffic_unique_visitor_detail
      UNION ALL
      SELECT date_bin(INTERVAL '${window}', first_time), vc, channel, ar, mid, 'session', CAST(NULL AS BIGINT)
      FROM dwd_traffic_session
      UNION ALL
      SELECT date_bin(INTERVAL '${window}', first_time), vc, channel, ar, mid, 'jump', CAST(NULL AS BIGINT)
      FROM dwd_traffic_user_jump_detail
    ) AS happenings
    GROUP BY stt, vc, ch, ar, mid
  ) AS e
  JOIN dim_device AS d ON d.mid = e.mid
  GROUP BY 1, 2, 3, 4, 5
) AS windows
