-- Grain: window. Key: stt.
-- Inputs: dwd_user_active_day, dwd_user_back_day.
--
-- uu_ct: members in the window of their first page view of the day while logged in, so
-- that it adds up to the day's members with a page view (dws_user_uniq_day counts those
-- who did anything). back_ct: of them, those whose last day with a page view was eight or
-- more days before.
CREATE MATERIALIZED VIEW dws_user_user_login_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  uu_ct,
  back_ct
FROM (
  SELECT
    stt,
    count(*) FILTER (WHERE kind = 'active') AS uu_ct,
    count(*) FILTER (WHERE kind = 'back') AS back_ct
  FROM (
    SELECT date_bin(INTERVAL '${window}', first_time) AS stt, 'active' AS kind FROM dwd_user_active_day
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', first_time), 'back' FROM dwd_user_back_day
  ) AS members
  GROUP BY stt
) AS windows
