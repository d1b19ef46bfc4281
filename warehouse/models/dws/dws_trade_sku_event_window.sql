-- Grain: window × sku with which members did something. Key: stt, sku_id.
-- Inputs: dwd_interaction_favor_add, dwd_trade_cart_add, dwd_trade_order_detail,
-- dwd_trade_pay_suc, dwd_trade_refund_pay_suc, dwd_interaction_comment.
--
-- favor_ct: times made a favourite; cart_ct: times put in a cart. Of orders made in
-- the window: order_line_ct (lines), order_pieces (pieces), order_amount (what is to be
-- paid for them), order_ct (distinct orders). payment_amount: goods paid in the window;
-- refund_amount: goods refunded in the window. comment_ct: comments; good_comment_ct:
-- those with the code appraise_good.
CREATE MATERIALIZED VIEW dws_trade_sku_event_window AS
SELECT
  stt,
  sku_id,
  count(*) FILTER (WHERE kind = 'favor') AS favor_ct,
  count(*) FILTER (WHERE kind = 'cart') AS cart_ct,
  count(*) FILTER (WHERE kind = 'order') AS order_line_ct,
  coalesce(sum(pieces), 0) AS order_pieces,
  coalesce(sum(amount) FILTER (WHERE kind = 'order'), 0) AS order_amount,
  count(DISTINCT order_id) AS order_ct,
  coalesce(sum(amount) FILTER (WHERE kind = 'pay'), 0) AS payment_amount,
  coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refund_amount,
  count(*) FILTER (WHERE kind IN ('comment', 'good_comment')) AS comment_ct,
  count(*) FILTER (WHERE kind = 'good_comment') AS good_comment_ct
FROM (
  SELECT date_bin(INTERVAL '${window}', add_time) AS stt, sku_id, 'favor' AS kind,
    CAST(NULL AS INT) AS pieces, CAST(NULL AS DECIMAL(16, 2)) AS amount, CAST(NULL AS BIGINT) AS order_id
  FROM dwd_interaction_favor_add
  WHERE NOT is_test
  UNION ALL
  SELECT date_bin(INTERVAL '${window}', add_time), sku_id, 'cart', NULL, NULL, NULL
  FROM dwd_trade_cart_add
  WHERE NOT is_test
  UNION ALL
  SELECT date_bin(INTERVAL '${window}', create_time), sku_id, 'order', pieces, amount, order_id
  FROM dwd_trade_order_detail
  WHERE NOT is_test
  UNION ALL
  SELECT date_bin(INTERVAL '${window}', p.paid_time), d.sku_id, 'pay', NULL, d.amount, NULL
  FROM dwd_trade_order_detail AS d
  JOIN dwd_trade_pay_suc AS p ON p.order_id = d.order_id
  WHERE NOT d.is_test
  UNION ALL
  SELECT date_bin(INTERVAL '${window}', callback_time), sku_id, 'refund', NULL, refund_amount, NULL
  FROM dwd_trade_refund_pay_suc
  WHERE NOT is_test AND sku_id IS NOT NULL
  UNION ALL
  SELECT date_bin(INTERVAL '${window}', create_time), sku_id,
    CASE WHEN appraise IN ('${appraise_good}') THEN 'good_comment' ELSE 'comment' END, NULL, NULL, NULL
  FROM dwd_interaction_comment
  WHERE NOT is_test
) AS happenings
GROUP BY stt, sku_id
