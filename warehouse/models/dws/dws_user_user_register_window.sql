-- Grain: window. Key: stt.
-- Inputs: user_info.
--
-- register_ct: members who registered, without those of tests.
CREATE MATERIALIZED VIEW dws_user_user_register_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  register_ct
FROM (
  SELECT date_bin(INTERVAL '${window}', create_time) AS stt, count(*) AS register_ct
  FROM user_info
  WHERE create_time IS NOT NULL AND NOT is_test
  GROUP BY 1
) AS windows
