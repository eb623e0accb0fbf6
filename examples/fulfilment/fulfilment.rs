//! The process manager: it leads each order through reservation, payment and shipping, sets the
//! deadline for the payment, and gives the reservation back if the order comes to nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use eventfold_es::{Outbox, ProcessManager, React, Recorded};
use serde::{Deserialize, Serialize};

use crate::order::{Cancel, Order, OrderEvent, RequestPayment, Ship};
use crate::stock::{Release, Reserve, Stock, StockEvent, TakeOut};

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Order, Stock), dispatches(Order, Stock))]
pub(crate) struct Fulfilment {
    /// The orders under way.
    orders: BTreeMap<String, Progress>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    article: String,
    pay_within: Duration,
}

fn deadline(order: &str) -> String {
    format!("payment of {order}")
}

impl React<Order> for Fulfilment {
    fn react_to(&mut self, event: &OrderEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        let order = record.id();
        match event {
            OrderEvent::OrderPlaced(placed) => {
                let progress = Progress {
                    article: placed.article.clone(),
                    pay_within: Duration::from_secs(placed.pay_within_seconds),
                };
                self.orders.insert(order.to_owned(), progress);
                let reserve = Reserve {
                    order: order.to_owned(),
                    quantity: placed.quantity,
                };
                let reason = "not reserved".to_owned();
                out.send::<Stock>(&placed.article, reserve)
                    .or_send::<Order>(order, Cancel { reason });
            }
            OrderEvent::PaymentRequested(_) => {
                if let Some(progress) = self.orders.get(order) {
                    let reason = "not paid in time".to_owned();
                    let after = progress.pay_within;
                    out.schedule_as::<Order>(&deadline(order), after, order, Cancel { reason });
                }
            }
            OrderEvent::OrderPaid(_) => {
                out.cancel(&deadline(order));
                if let Some(progress) = self.orders.get(order) {
                    let order = order.to_owned();
                    out.send::<Stock>(&progress.article, TakeOut { order });
                }
            }
            OrderEvent::OrderShipped(_) => drop(self.orders.remove(order)),
            // The compensation: what was reserved is free again. The stock knows if there is any.
            OrderEvent::OrderCancelled(_) => {
                out.cancel(&deadline(order));
                if let Some(progress) = self.orders.remove(order) {
                    let order = order.to_owned();
                    out.send::<Stock>(progress.article, Release { order });
                }
            }
        }
    }
}

impl React<Stock> for Fulfilment {
    fn react_to(&mut self, event: &StockEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        match event {
            StockEvent::Reserved(reserved) => {
                out.send::<Order>(&reserved.order, RequestPayment);
            }
            StockEvent::SoldOut(sold_out) => {
                let reason = "sold out".to_owned();
                out.send::<Order>(&sold_out.order, Cancel { reason });
            }
            StockEvent::TakenOut(taken_out) => {
                out.send::<Order>(&taken_out.order, Ship);
            }
            StockEvent::Received(_) | StockEvent::Released(_) => {}
        }
    }
}
