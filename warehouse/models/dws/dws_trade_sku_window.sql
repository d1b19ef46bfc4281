-- Grain: window × sku to which something happened. Key: stt, sku_id. A query view.
-- Inputs: dws_traffic_sku_window, dws_trade_sku_event_window.
--
-- display_ct: times shown; click_ct: views of its own page; favor_ct: times made a
-- favourite; cart_ct: times put in a cart. Of orders made in the window: order_line_ct
-- (lines), order_pieces (pieces), order_amount (what is to be paid for them), order_ct
-- (distinct orders). payment_amount: goods paid in the window; refund_amount: goods
-- refunded in the window. comment_ct: comments; good_comment_ct: those with the code
-- appraise_good.
CREATE VIEW dws_trade_sku_window AS
SELECT
  coalesce(t.stt, e.stt) AS stt,
  coalesce(t.stt, e.stt) + INTERVAL '${window}' AS edt,
  CAST(coalesce(t.stt, e.stt) AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  coalesce(t.sku_id, e.sku_id) AS sku_id,
  coalesce(t.display_ct, 0) AS display_ct,
  coalesce(t.click_ct, 0) AS click_ct,
  coalesce(e.favor_ct, 0) AS favor_ct,
  coalesce(e.cart_ct, 0) AS cart_ct,
  coalesce(e.order_line_ct, 0) AS order_line_ct,
  coalesce(e.order_pieces, 0) AS order_pieces,
  coalesce(e.order_amount, 0) AS order_amount,
  coalesce(e.order_ct, 0) AS order_ct,
  coalesce(e.payment_amount, 0) AS payment_amount,
  coalesce(e.refund_amount, 0) AS refund_amount,
  coalesce(e.comment_ct, 0) AS comment_ct,
  coalesce(e.good_comment_ct, 0) AS good_comment_ct
FROM dws_traffic_sku_window AS t
FULL JOIN dws_trade_sku_event_window AS e ON e.stt = t.stt AND e.sku_id = t.sku_id
