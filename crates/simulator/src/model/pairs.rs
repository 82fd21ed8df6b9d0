//! What a list of orders must be like to be taken: types, prices, numbers, funds.
//!
//! It must never change the model.

use domain::{OrderType, Price, Side};

use super::check::Checked;
use super::filters::Added;
use super::list::{ListShape, NewList};
use super::order::NewOrder;
use super::symbol::SymbolState;
use super::types::AccountId;
use super::{Model, Refusal};

/// The orders of a list by their part in it, each with what was found of it.
pub(super) struct CheckedList<'a> {
    pub(super) working: Option<(&'a NewOrder, Checked)>,
    /// Of a pair the stop-loss first.
    pub(super) others: Vec<(&'a NewOrder, Checked)>,
}

impl<'a> NewList<'a> {
    pub(super) fn working(&self) -> Option<&'a NewOrder> {
        match self.shape {
            ListShape::Oco { .. } => None,
            ListShape::Oto { working, .. } | ListShape::Otoco { working, .. } => Some(working),
        }
    }

    /// Above and below.
    pub(super) fn pair(&self) -> Option<(&'a NewOrder, &'a NewOrder)> {
        match self.shape {
            ListShape::Oco { above, below } | ListShape::Otoco { above, below, .. } => Some((above, below)),
            ListShape::Oto { .. } => None,
        }
    }

    fn others(&self) -> Vec<&'a NewOrder> {
        match self.shape {
            ListShape::Oco { above, below } | ListShape::Otoco { above, below, .. } => {
                if is_stop_loss(above.order_type) { vec![above, below] } else { vec![below, above] }
            }
            ListShape::Oto { pending, .. } => vec![pending],
        }
    }
}

fn is_stop_loss(order_type: OrderType) -> bool {
    matches!(order_type, OrderType::StopLoss | OrderType::StopLossLimit)
}

fn is_take_profit(order_type: OrderType) -> bool {
    matches!(order_type, OrderType::TakeProfit | OrderType::TakeProfitLimit)
}

impl Model {
    pub(super) fn check_list<'a>(&self, account: &AccountId, new: &NewList<'a>) -> Result<CheckedList<'a>, Refusal> {
        let (working, others) = (new.working(), new.others());
        let orders: Vec<&NewOrder> = working.into_iter().chain(others.iter().copied()).collect();
        let state = self.check_combination(account, new, &orders)?;
        let found = |order: &'a NewOrder, is_sized_later| {
            let (_, checked) = self.check_alone(account, order, is_sized_later)?;
            Ok::<_, Refusal>((order, checked))
        };
        let working = working.map(|order| found(order, false)).transpose()?;
        let others: Vec<_> =
            others.into_iter().map(|order| found(order, new.follows_fill)).collect::<Result<_, _>>()?;
        self.check_counts(account, state, Added::by(&orders, 1))?;
        self.check_names(account, new, &orders)?;
        if let Some((order, checked)) = &working {
            self.check_sides(order, state, checked)?;
            self.check_funds(account, order.side, state, &[*checked])?;
        } else {
            let references: Vec<_> =
                new.pair().into_iter().flat_map(|(above, below)| [above, below]).map(reference).collect();
            check_relation(state, references.first().copied().flatten(), references.get(1).copied().flatten())?;
            let checked: Vec<Checked> = others.iter().map(|(_, checked)| *checked).collect();
            for (order, checked) in &others {
                self.check_sides(order, state, checked)?;
            }
            self.check_funds(account, others[0].0.side, state, &checked)?;
        }
        let now = if let Some(working) = &working { std::slice::from_ref(working) } else { others.as_slice() };
        let is_post_only = |order: &NewOrder| order.order_type == OrderType::LimitMaker;
        if now.iter().any(|(order, _)| is_post_only(order) && self.would_meet_itself(account, order, state)) {
            return Err(Refusal::would_match());
        }
        Ok(CheckedList { working, others })
    }

    /// What can be said of a list without its prices.
    fn check_combination(
        &self,
        account: &AccountId,
        new: &NewList<'_>,
        orders: &[&NewOrder],
    ) -> Result<&SymbolState, Refusal> {
        let symbol = &orders[0].symbol;
        self.known(account, symbol)?;
        let state = self.symbols.get(symbol).ok_or_else(|| Refusal::invalid_symbol(symbol))?;
        if !state.instrument.filters.oco_allowed {
            return Err(Refusal::new(-2010, "OCO orders are not supported for this symbol"));
        }
        let unsupported = || Refusal::new(-1014, "Unsupported order combination");
        if orders.iter().any(|order| order.symbol != *symbol || order.quote_quantity.is_some()) {
            return Err(unsupported());
        }
        if let Some((above, below)) = new.pair() {
            if above.side != below.side || above.quantity != below.quantity {
                return Err(unsupported());
            }
            check_types(above.side, above.order_type, below.order_type)?;
        }
        if let Some(working) = new.working() {
            let rests = matches!(working.order_type, OrderType::Limit | OrderType::LimitMaker);
            let sells_on = working.side == Side::Buy && orders[1..].iter().all(|order| order.side == Side::Sell);
            if !rests || (new.follows_fill && !sells_on) {
                return Err(unsupported());
            }
        }
        Ok(state)
    }

    fn check_names(&self, account: &AccountId, new: &NewList<'_>, orders: &[&NewOrder]) -> Result<(), Refusal> {
        for (index, order) in orders.iter().enumerate() {
            self.check_duplicate(account, order)?;
            if orders[..index].iter().any(|other| other.client_order_id == order.client_order_id) {
                return Err(Refusal::duplicate());
            }
        }
        let lists = self.accounts.get(account).into_iter().flat_map(|owner| owner.lists.values());
        if lists.into_iter().any(|list| list.client_id == *new.client_id && !list.is_done()) {
            return Err(Refusal::duplicate());
        }
        Ok(())
    }
}

/// The price by which an order of a pair is above or below the market; a trigger that only follows has none.
fn reference(order: &NewOrder) -> Option<Price> {
    if order.order_type.has_trigger() { order.stop_price } else { order.price }
}

/// Above the last price, and below it.
pub(super) fn check_relation(state: &SymbolState, above: Option<Price>, below: Option<Price>) -> Result<(), Refusal> {
    let last = state.last.map(|last| last.price);
    let is_ordered = |high: Option<Price>, low: Option<Price>| high.zip(low).is_none_or(|(high, low)| high > low);
    if is_ordered(above, below) && is_ordered(above, last) && is_ordered(last, below) {
        Ok(())
    } else {
        Err(Refusal::bad_prices())
    }
}

/// The types of a pair's orders, by side and place (codes -1158 to -1168 and -1196 to -1199).
fn check_types(side: Side, above: OrderType, below: OrderType) -> Result<(), Refusal> {
    use OrderType as T;
    if [above, below].iter().any(|one| matches!(one, T::Limit | T::Market)) {
        return Err(Refusal::new(-1158, "Order type not supported in OCO."));
    }
    if (above, below) == (T::LimitMaker, T::LimitMaker) {
        return Err(Refusal::new(-1168, "At least one OCO order must be contingent."));
    }
    let wrong = match side {
        Side::Buy if above == T::LimitMaker => Some((-1165, "A limit order in a buy OCO must be below.")),
        Side::Buy if is_stop_loss(below) => Some((-1196, "A stop loss order in a buy OCO must be above.")),
        Side::Buy if is_take_profit(above) => Some((-1198, "A take profit order in a buy OCO must be below.")),
        Side::Sell if below == T::LimitMaker => Some((-1166, "A limit order in a sell OCO must be above.")),
        Side::Sell if is_stop_loss(above) => Some((-1197, "A stop loss order in a sell OCO must be below.")),
        Side::Sell if is_take_profit(below) => Some((-1199, "A take profit order in a sell OCO must be above.")),
        Side::Buy | Side::Sell => None,
    };
    wrong.map_or(Ok(()), |(code, text)| Err(Refusal::new(code, text)))
}
