-- Grain: line of an order that was cancelled without a payment. Key: detail_id.
-- A query view.
-- Inputs: dwd_trade_order_detail, dwd_trade_order_cancel.
--
-- The columns of dwd_trade_order_detail, of which day is that of the order, and
-- cancel_time: when the order's status changed.
CREATE VIEW dwd_trade_order_cancel_detail AS
SELECT d.*, c.cancel_time
FROM dwd_trade_order_detail AS d
JOIN dwd_trade_order_cancel AS c ON c.order_id = d.order_id
