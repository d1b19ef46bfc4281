-- Grain: member × business day on which the member did something. Key: day,
-- user_id.
-- Inputs: page_log, dwd_trade_order, dwd_trade_refund_pay_suc,
-- dwd_trade_cart_add, dwd_interaction_favor_add, dim_test_user.
--
-- pages: page views while logged in; carts: times something was put in the cart;
-- favors: times something was made a favourite; orders: those created that day;
-- order_amount: their goods; paid_amount, refund_amount: goods paid and refunded that
-- day. Test orders and members of tests are left out.
CREATE MATERIALIZED VIEW dws_user_day AS
SELECT h.day, h.user_id, h.pages, h.carts, h.favors, h.orders, h.order_amount, h.paid_amount, h.refund_amount
FROM (
  SELECT
    day,
    user_id,
    count(*) FILTER (WHERE kind = 'page') AS pages,
    count(*) FILTER (WHERE kind = 'cart') AS carts,
    count(*) FILTER (WHERE kind = 'favor') AS favors,
    count(*) FILTER (WHERE kind = 'order') AS orders,
    coalesce(sum(amount) FILTER (WHERE kind = 'order'), 0) AS order_amount,
    coalesce(sum(amount) FILTER (WHERE kind = 'pay'), 0) AS paid_amount,
    coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refund_amount
  FROM (
    SELECT CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day, uid AS user_id, 'page' AS kind,
      CAST(NULL AS DECIMAL(16, 2)) AS amount
    FROM page_log
    WHERE uid IS NOT NULL AND NOT is_bot
    UNION ALL
    SELECT day, user_id, 'cart', NULL FROM dwd_trade_cart_add WHERE NOT is_test
    UNION ALL
    SELECT day, user_id, 'favor', NULL FROM dwd_interaction_favor_add WHERE NOT is_test
    UNION ALL
    SELECT day, user_id, 'order', goods_amount FROM dwd_trade_order WHERE NOT is_test
    UNION ALL
    SELECT paid_day, user_id, 'pay', goods_amount FROM dwd_trade_order
    WHERE paid_time IS NOT NULL AND NOT is_test
    UNION ALL
    SELECT day, user_id, 'refund', refund_amount FROM dwd_trade_refund_pay_suc
    WHERE user_id IS NOT NULL AND NOT is_test
  ) AS happenings
  GROUP BY day, user_id
) AS h
LEFT JOIN dim_test_user AS t ON t.user_id = h.user_id
WHERE t.user_id IS NULL
