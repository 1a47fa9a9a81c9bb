// Plays notes and says which of them sound. Times are seconds of the piece.
"use strict";

class Player {
  static AHEAD = 0.2; // seconds for which notes are handed to the synthesizer in advance
  static HIDDEN_AHEAD = 1.5; // ... in a tab that is not seen, where timers are slow
  static TICK = 50; // milliseconds

  // notes: arrays seconds, length, pitch; channel: of every note; velocity: of every note;
  // onMove(position, sounding): called on every frame while it plays, and after a jump; onEnd(): at the end.
  constructor(notes, { channel, velocity, onMove, onEnd }) {
    Object.assign(this, { notes, channel, velocity, onMove, onEnd });
    this.order = [...notes.seconds.keys()].sort((a, b) => notes.seconds[a] - notes.seconds[b] || a - b);
    this.end = notes.seconds.reduce((end, start, i) => Math.max(end, start + notes.length[i]), 0);
    this.tempo = 1;
    this.volume = Array(1 + Math.max(0, ...new Set(channel))).fill(1); // of channels
    this.playing = false;
    this.start = 0; // position when the clock was last set
    this.clock = 0; // milliseconds of the page, then
    this.next = 0; // in `order`: what is handed over next
  }

  get position() {
    const since = this.playing ? ((performance.now() - this.clock) / 1000) * this.tempo : 0;
    return Math.min(this.start + since, this.end);
  }

  // Indices of the notes that sound at a position.
  soundingAt(position) {
    const { seconds, length } = this.notes;
    return this.order.filter((i) => seconds[i] <= position && position < seconds[i] + length[i]);
  }

  play() {
    if (this.playing) return;
    if (this.position >= this.end - 1e-3) this.start = 0;
    this.wake();
    this.setClock(this.start);
    this.playing = true;
    this.timer = setInterval(() => this.handOver(), Player.TICK);
    this.handOver();
    this.frame();
  }

  pause() {
    if (!this.playing) return;
    this.start = this.position;
    this.playing = false;
    clearInterval(this.timer);
    cancelAnimationFrame(this.request);
    this.silence();
    this.move();
  }

  seek(position) {
    this.silence();
    this.setClock(Math.min(Math.max(position, 0), this.end));
    this.move();
  }

  setTempo(tempo) {
    const position = this.position;
    this.tempo = tempo;
    this.silence();
    this.setClock(position, false);
  }

  setVolume(channel, volume) {
    this.volume[channel] = volume;
    this.synth?.send([0xb0 + channel, 7, Math.round(volume * 100)]);
  }

  setVelocity(velocity) {
    this.velocity = velocity;
  }

  // What begins at the position is played again after a jump, not after a change of tempo.
  setClock(position, again = true) {
    this.start = position;
    this.clock = performance.now();
    const first = position + (again ? -1e-3 : 1e-3);
    const next = this.order.findIndex((i) => this.notes.seconds[i] >= first);
    this.next = next < 0 ? this.order.length : next;
  }

  // The synthesizer, made on the first sound: browsers allow sound only after the reader did something.
  wake() {
    if (this.synth === undefined) {
      try {
        this.synth = new WebAudioTinySynth({ quality: 1, useReverb: 1, voices: 64 });
        this.volume.forEach((volume, channel) => this.setVolume(channel, volume));
      } catch {
        this.synth = null; // no sound on this machine: the notes are still shown
      }
    }
    this.synth?.getAudioContext().resume();
  }

  handOver() {
    const { seconds, length, pitch } = this.notes;
    const position = this.position;
    const until = position + (document.hidden ? Player.HIDDEN_AHEAD : Player.AHEAD) * this.tempo;
    for (; this.next < this.order.length && seconds[this.order[this.next]] < until; this.next++) {
      const i = this.order[this.next];
      if (!this.synth) continue;
      const channel = this.channel[i];
      const from = this.synth.getAudioContext().currentTime + Math.max(seconds[i] - position, 0) / this.tempo + 0.01;
      const velocity = Math.min(Math.max(Math.round(this.velocity[i]), 1), 127);
      this.synth.send([0x90 + channel, pitch[i], velocity], from);
      this.synth.send([0x80 + channel, pitch[i], 0], from + Math.max(length[i] / this.tempo, 0.06));
    }
    if (position >= this.end) {
      this.pause();
      this.onEnd();
    }
  }

  silence() {
    for (const channel of this.volume.keys()) this.synth?.send([0xb0 + channel, 120, 0]);
  }

  frame() {
    if (!this.playing) return;
    this.move();
    this.request = requestAnimationFrame(() => this.frame());
  }

  move() {
    const position = this.position;
    this.onMove(position, this.soundingAt(position));
  }
}
