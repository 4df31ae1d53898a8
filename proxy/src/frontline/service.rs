//! What a node does for its front line: some times a second, and when its configuration changes.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use model::Model;
use shard::Message;

use super::PULSE;
use crate::{
    node::{CHORES, Node, held},
    say,
};

impl Node {
    /// Looks after the kernel's part. After what time to do it again.
    pub(crate) fn beat_front_line(&self) -> Duration {
        let mut front_line = held(&self.front_line);
        let (Some(line), Some(cores)) = (front_line.as_mut(), self.cores.get()) else { return CHORES };
        let now = Instant::now();
        if let Some(early) = line.is_early(now) {
            return early;
        }
        let draining = self.draining.load(Ordering::Relaxed);
        let changed = line.beat(now, |core, answer| {
            // Cores that have ended answer no more, and what still drains is served.
            let post = cores.posts.get(core).filter(|_| !draining);
            match post {
                Some(post) => post.send(Message::Pulse(answer)).is_ok(),
                None => answer.send(core).is_ok(),
            }
        });
        drop(front_line);
        if let Some(changed) = changed {
            self.tell_front_line(&changed);
        }
        PULSE
    }

    fn tell_front_line(&self, front_line: &shard::FrontLine) {
        for post in self.cores.get().into_iter().flat_map(|cores| &cores.posts) {
            if post.send(Message::FrontLine(front_line.clone())).is_err() {
                say::warning("a core has too many letters waiting and missed a change of the front line");
            }
        }
    }

    /// Goes by what a changed configuration says of the kernel's part. A word for the operator.
    pub(crate) fn change_front_line(&self, model: &Model) -> Option<String> {
        let mut front_line = held(&self.front_line);
        let (Some(line), Some(ebpf)) = (front_line.as_mut(), &model.node.ebpf) else { return None };
        match line.change(ebpf) {
            Ok((of_cores, word)) => {
                drop(front_line);
                self.tell_front_line(&of_cores);
                word
            }
            Err(text) => {
                say::warning(&text);
                Some(text)
            }
        }
    }
}
