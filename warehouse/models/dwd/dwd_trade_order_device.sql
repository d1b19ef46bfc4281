-- Grain: order × device with which it was made. Key: order_id, mid. A query view.
-- Inputs: dwd_trade_order, dim_device_member.
--
-- mid: the device on which the order's member was last logged in before it; should
-- that be several at one moment, all of them. An order by a member who never was has
-- no row. day: of the order. is_test: an order or a member of a test.
CREATE VIEW dwd_trade_order_device AS
SELECT o.order_id, m.mid, o.user_id, o.create_time, o.day, o.is_test
FROM (
  -- The database knows seconds, the log milliseconds.
  SELECT o.order_id, max(m.first_time) AS first_time
  FROM dwd_trade_order AS o
  JOIN dim_device_member AS m ON m.user_id = o.user_id AND m.first_time < o.create_time + INTERVAL '1 second'
  GROUP BY o.order_id
) AS l
JOIN dwd_trade_order AS o ON o.order_id = l.order_id
JOIN dim_device_member AS m ON m.user_id = o.user_id AND m.first_time = l.first_time
