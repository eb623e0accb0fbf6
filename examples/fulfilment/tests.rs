use std::time::SystemTime;

use eventfold_es::{ManualClock, model, testing};
use tempfile::TempDir;

use super::*;

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// A shop with a clock that the test drives.
struct Shop {
    dir: TempDir,
    clock: ManualClock,
    store: AggregateStore,
}

impl Shop {
    async fn with_lamps(quantity: u32) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let clock = ManualClock::new(SystemTime::now());
        let store = at_work(AggregateStore::builder(dir.path()));
        let store = store.clock(clock.clone()).open().await?;
        store
            .get::<Stock>("lamp")
            .await?
            .send(Receive { quantity })
            .await?;
        Ok(Self { dir, clock, store })
    }

    async fn reopen(self) -> anyhow::Result<Self> {
        let Self { dir, clock, store } = self;
        store.shutdown().await?;
        drop(store);
        let store = at_work(AggregateStore::builder(dir.path()));
        let store = store.clock(clock.clone()).open().await?;
        Ok(Self { dir, clock, store })
    }

    async fn place(&self, order: &str, quantity: u32) -> anyhow::Result<()> {
        let place = Place {
            article: "lamp".to_owned(),
            quantity,
            pay_within_seconds: QUARTER.as_secs(),
        };
        self.store.get::<Order>(order).await?.send(place).await?;
        self.settle().await
    }

    /// Waits until everything has ended that follows so far.
    async fn settle(&self) -> anyhow::Result<()> {
        let head = self.store.head();
        self.store.wait_until_settled(head, PATIENCE).await?;
        Ok(())
    }

    async fn pass(&self, time: Duration) -> anyhow::Result<()> {
        self.clock.advance(time);
        self.settle().await
    }

    async fn status(&self, order: &str) -> anyhow::Result<Status> {
        Ok(self.store.get::<Order>(order).await?.state().await?.status)
    }

    /// How many lamps are free, and how many are reserved.
    async fn lamps(&self) -> anyhow::Result<(u32, u32)> {
        let stock = self.store.get::<Stock>("lamp").await?.state().await?;
        Ok((stock.free, stock.reserved.values().sum()))
    }

    fn timers(&self) -> usize {
        self.store.read_side().process_managers[0].timers
    }
}

#[tokio::test]
async fn an_order_that_is_paid_is_shipped() -> anyhow::Result<()> {
    let shop = Shop::with_lamps(5).await?;
    shop.place("o-1", 2).await?;
    assert_eq!(shop.status("o-1").await?, Status::AwaitsPayment);
    assert_eq!((shop.lamps().await?, shop.timers()), ((3, 2), 1));
    shop.pass(QUARTER / 2).await?;
    pay(&shop.store, "o-1").await?;
    shop.settle().await?;
    assert_eq!(shop.status("o-1").await?, Status::Shipped);
    assert_eq!((shop.lamps().await?, shop.timers()), ((3, 0), 0));
    // The deadline is no more.
    shop.pass(QUARTER).await?;
    assert_eq!(shop.status("o-1").await?, Status::Shipped);
    Ok(())
}

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_is_cancelled_and_gives_its_reservation_back()
-> anyhow::Result<()> {
    let shop = Shop::with_lamps(5).await?;
    shop.place("o-1", 2).await?;
    shop.pass(Duration::from_millis(899_999)).await?;
    assert_eq!(shop.status("o-1").await?, Status::AwaitsPayment);
    shop.pass(Duration::from_millis(1)).await?;
    assert_eq!(shop.status("o-1").await?, Status::Cancelled);
    assert_eq!((shop.lamps().await?, shop.timers()), ((5, 0), 0));
    assert!(pay(&shop.store, "o-1").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_deadline_survives_a_restart() -> anyhow::Result<()> {
    let shop = Shop::with_lamps(5).await?;
    shop.place("o-1", 2).await?;
    let shop = shop.reopen().await?;
    assert_eq!(shop.timers(), 1);
    shop.pass(QUARTER).await?;
    assert_eq!(shop.status("o-1").await?, Status::Cancelled);
    assert_eq!(shop.lamps().await?, (5, 0));
    Ok(())
}

#[tokio::test]
async fn an_order_of_more_than_there_is_is_cancelled_at_once() -> anyhow::Result<()> {
    let shop = Shop::with_lamps(5).await?;
    shop.place("o-1", 6).await?;
    assert_eq!(shop.status("o-1").await?, Status::Cancelled);
    assert_eq!((shop.lamps().await?, shop.timers()), ((5, 0), 0));
    shop.place("o-2", 5).await?;
    assert_eq!(shop.status("o-2").await?, Status::AwaitsPayment);
    Ok(())
}

#[tokio::test]
async fn an_order_that_the_stock_refuses_is_cancelled_and_leaves_no_dead_letter()
-> anyhow::Result<()> {
    let shop = Shop::with_lamps(5).await?;
    shop.place("o-1", 0).await?;
    assert_eq!(shop.status("o-1").await?, Status::Cancelled);
    assert_eq!((shop.lamps().await?, shop.timers()), ((5, 0), 0));
    let status = shop.store.read_side().process_managers.remove(0);
    assert_eq!(status.dead_letters, Some(0));
    Ok(())
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_url_is_refused_with_the_words_to_type_if_the_program_was_built_without_postgres() {
    let refused = on_postgres("postgres://ann:secret@db/shop")
        .map(drop)
        .unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("--features postgres"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn the_model_is_the_one_that_was_reviewed() {
    testing::model_is_in(&model![Order, Stock, Fulfilment], "fulfilment/model.md");
}
