-- Grain: window. Key: stt.
-- Inputs: dwd_trade_cart_add.
--
-- cart_add_uu_ct: members who put something in their cart; does not add up over
-- windows. cart_add_ct: how often; cart_add_pieces: how many pieces.
CREATE MATERIALIZED VIEW dws_trade_cart_add_uu_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  cart_add_uu_ct,
  cart_add_ct,
  cart_add_pieces
FROM (
  SELECT
    date_bin(INTERVAL '${window}', add_time) AS stt,
    count(DISTINCT user_id) AS cart_add_uu_ct,
    count(*) AS cart_add_ct,
    sum(pieces) AS cart_add_pieces
  FROM dwd_trade_cart_add
  WHERE NOT is_test
  GROUP BY 1
) AS windows
